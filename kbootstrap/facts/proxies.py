"""What a host's proxy to the API makes of the apiservers."""

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.facts.fact import Single

_FIELDS = 4


@dataclass(frozen=True, slots=True)
class Proxied:
    """An apiserver, as a proxy sees it: in, out (for planned work) or unready, why, and since when."""

    address: str
    state: str
    reason: str
    since: str


@dataclass(frozen=True, slots=True)
class ProxiedServers(Single[tuple[Proxied, ...]]):
    """What `program show` (kube-endpoint) says; empty where it is not installed."""

    program: PurePosixPath

    @property
    def command(self) -> str:
        return f"{shlex.quote(str(self.program))} show"

    def value(self, output: bytes) -> tuple[Proxied, ...]:
        rows = (line.split("\t") for line in output.decode(errors="replace").splitlines())
        return tuple(Proxied(*row) for row in rows if len(row) == _FIELDS)
