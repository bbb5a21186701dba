"""Who else on the network answers for an address."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import PurePosixPath

from kbootstrap.facts.fact import Single

PROBE_SECONDS = 0.1
"""How long to wait for an answer: on one network it comes within a few milliseconds."""

DISCARD_PORT = 9
"""RFC 863. Whether it is open does not matter: asking for it makes the kernel look for the address."""


@dataclass(frozen=True, slots=True)
class Neighbour(Single[str | None]):
    """The hardware address that answers for `address`, None when nobody does. Not asked once `unless` exists."""

    waits = True

    address: IPv4Address
    unless: PurePosixPath

    @property
    def command(self) -> str:
        probe = (
            f"curl --silent --output /dev/null --connect-timeout {PROBE_SECONDS} http://{self.address}:{DISCARD_PORT}/"
        )
        return (
            f'if [ ! -e {self.unless} ] && [ -z "$(ip -4 -o address show to {self.address})" ]; then\n'
            # What the kernel remembers may be who had the address a minute ago.
            f"ip -4 neighbour flush to {self.address}; {probe}; ip -4 neighbour show to {self.address}\nfi"
        )

    def value(self, output: bytes) -> str | None:
        words = output.decode(errors="replace").split()
        if "lladdr" not in words or words[-1] in ("FAILED", "INCOMPLETE"):
            return None
        return words[words.index("lladdr") + 1]
