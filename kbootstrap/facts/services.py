"""Services that run on a host, and whether it was kbootstrap that started them."""

import shlex
from dataclasses import dataclass

from kbootstrap.facts.fact import Single
from kbootstrap.facts.units import STAMPS

OWN_MARK = "kbootstrap"
"""Stands in the unit, its drop-ins or its command line when the service is ours."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs, or is starting."""

    unit: str
    ours: bool


@dataclass(frozen=True, slots=True)
class RunningServices(Single[tuple[Service, ...]]):
    """Those of `units` that run."""

    units: tuple[str, ...]

    @property
    def command(self) -> str:
        # As patterns: those are compared with what is loaded, and everything else need not be looked for on disk.
        names = " ".join(shlex.quote(f"{unit[:-1]}[{unit[-1]}]") for unit in self.units)
        return (
            f"systemctl show --property=Id,ActiveState,FragmentPath,DropInPaths,ExecStart {names}\n"
            f"printf '\\n\\nstamps\\n'; ls {shlex.quote(str(STAMPS))}"
        )

    def value(self, output: bytes) -> tuple[Service, ...]:
        shown, _, stamps = output.decode(errors="replace").partition("\nstamps\n")
        started = set(stamps.split())
        found = []
        for block in shown.strip().split("\n\n"):
            said = dict(line.partition("=")[::2] for line in block.splitlines())
            unit = said.pop("Id", "")
            if said.pop("ActiveState", "") in ("active", "activating", "reloading"):
                ours = unit in started or any(OWN_MARK in text for text in said.values())
                found.append(Service(unit, ours))
        return tuple(found)
