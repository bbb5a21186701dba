"""What a director forwards: the kernel's table of virtual servers, as ipvsadm prints it."""

from dataclasses import dataclass
from itertools import pairwise

from kbootstrap.facts.fact import Single

_METHODS = {"-g": "dr", "-m": "nat", "-i": "tunnel"}


@dataclass(frozen=True, slots=True)
class RealServer:
    """Who gets connections; with weight 0, no new ones."""

    address: str
    method: str
    weight: int


@dataclass(frozen=True, slots=True)
class VirtualServer:
    """An address and port (`198.18.0.100:6443`) whose connections are forwarded."""

    address: str
    scheduler: str
    persistence: int
    """Seconds; 0 for none."""
    servers: tuple[RealServer, ...] = ()


@dataclass(frozen=True, slots=True)
class VirtualServers(Single[tuple[VirtualServer, ...]]):
    """The TCP part of the table; empty where there is none, or no IPVS."""

    @property
    def command(self) -> str:
        return "ipvsadm --save --numeric"

    def value(self, output: bytes) -> tuple[VirtualServer, ...]:
        services: dict[str, VirtualServer] = {}
        servers: dict[str, list[RealServer]] = {}
        for line in output.decode(errors="replace").splitlines():
            words = line.split()
            said = dict(pairwise(words))
            if "-t" not in said:
                continue
            if words[0] == "-A":
                services[said["-t"]] = VirtualServer(said["-t"], said.get("-s", ""), int(said.get("-p", 0)))
            elif words[0] == "-a":
                method = next((name for flag, name in _METHODS.items() if flag in words), "")
                server = RealServer(said.get("-r", ""), method, int(said.get("-w", 1)))
                servers.setdefault(said["-t"], []).append(server)
        return tuple(
            VirtualServer(one.address, one.scheduler, one.persistence, tuple(servers.get(address, ())))
            for address, one in services.items()
        )
