"""What an inventory says of drills: whether the cluster may be hurt, and how its hosts lose their power."""

import shlex
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from kbootstrap.model.fields import NonEmpty, Refused
from kbootstrap.model.section import Section

PLACES = ("{host}", "{address}")
"""What is put into a command: the host's name in the inventory, and its address."""


def power_command(text: str) -> str:
    """A command line that names the host. Raises Refused."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Refused(f"{text!r} is no command line: {error}") from error
    if not any(place in word for word in words for place in PLACES):
        raise Refused("the command names no host", "such as: fence-host --off {host}, or {address}")
    return text


PowerCommand = Annotated[NonEmpty, AfterValidator(power_command)]


class Power(Section):
    """How hosts lose their power and get it back: commands of this machine (IPMI, Redfish, a cloud's), no shell."""

    turn_off: PowerCommand | None = Field(
        None, description="cuts a host's power at once; {host} and {address} are replaced; no passwords in it"
    )
    turn_on: PowerCommand | None = Field(None, description="gives it back; ends well also for a host that has it")
    sysrq: bool = Field(
        False, description="without such commands: the kernel crashes the host (SysRq b), and it boots by itself"
    )

    @property
    def known(self) -> bool:
        """Whether there is a way to cut it."""
        return self.turn_off is not None or self.sysrq

    @model_validator(mode="after")
    def _both_ways(self) -> Self:
        if (self.turn_off is None) != (self.turn_on is None):
            raise Refused("a host that is switched off must be switched on again", "write both, turn_off and turn_on")
        if self.sysrq and self.turn_off is not None:
            raise Refused("commands and sysrq do not go together", "leave one of the two out")
        return self


class ProbeRates(Section):
    """How many requests a second of each kind are sent while a drill goes on, and from where."""

    control: float = Field(50.0, ge=1, le=1000, description="from the machine that drills")
    worker: float = Field(
        10.0, ge=0, le=100, description="from a worker that is not hurt, through SSH to it; 0: from none"
    )


class Drills(Section):
    """Failover drills."""

    production: bool = Field(
        True, description="whether users depend on this cluster: then each drill needs --yes-break-production NAME"
    )
    probe_rates: ProbeRates = ProbeRates()
