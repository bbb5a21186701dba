"""Whether other hosts can be reached from a host: their ports, and packets of full size."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from kbootstrap.facts.fact import Single, scaled

CONNECT_SECONDS = 2
"""A handshake that takes longer than this is lost: between hosts of one cluster it takes milliseconds. Scaled."""

AT_ONCE = 64

Reach = Literal["open", "closed", "blocked"]
"""closed: the host says that nobody listens, so packets do get there. blocked: no answer, or a refusal to forward."""

_REFUSED = "Connection refused"
_CONNECTED = re.compile(r"Connected to (?P<address>[\d.]+) \([\d.]+\) port (?P<port>\d+)")
_FAILED = re.compile(r"connect to (?P<address>[\d.]+) port (?P<port>\d+).* failed: (?P<reason>.*)")


@dataclass(frozen=True, slots=True)
class PeerPort:
    """A TCP port of another host."""

    address: IPv4Address
    port: int


@dataclass(frozen=True, slots=True)
class PeerPorts(Single[Mapping[PeerPort, Reach]]):
    """What becomes of connections to `peers`, all tried side by side by one process."""

    waits = True

    peers: tuple[PeerPort, ...]

    @property
    def command(self) -> str:
        if not self.peers:
            return ":"
        urls = " ".join(f"http://{peer.address}:{peer.port}/" for peer in self.peers)
        return (
            f"curl --disable --noproxy '*' --verbose --silent --parallel --parallel-immediate --parallel-max {AT_ONCE}"
            f" --connect-timeout {scaled(CONNECT_SECONDS)} --max-time {scaled(CONNECT_SECONDS + 1)} {urls}"
            " 2>&1 >/dev/null |"
            " grep -aoE '(Connected|connect) to [0-9.]+.* port [0-9]+.*'"
        )

    def value(self, output: bytes) -> Mapping[PeerPort, Reach]:
        found: dict[PeerPort, Reach] = dict.fromkeys(self.peers, "blocked")
        for line in output.decode(errors="replace").splitlines():
            if match := _CONNECTED.match(line):
                found[_peer(match)] = "open"
            elif (match := _FAILED.match(line)) and match["reason"].startswith(_REFUSED):
                found[_peer(match)] = "closed"
        return {peer: found[peer] for peer in self.peers}


def _peer(match: re.Match[str]) -> PeerPort:
    return PeerPort(IPv4Address(match["address"]), int(match["port"]))


IP_AND_ICMP_HEADERS = 28
"""What `ping -s` does not count."""


@dataclass(frozen=True, slots=True)
class FullPacket:
    """How an unfragmented packet of an interface's full size fared."""

    small: bool
    """Whether a small packet was answered."""
    large: bool


@dataclass(frozen=True, slots=True)
class FullPackets(Single[Mapping[IPv4Address, FullPacket]]):
    """Whether packets of `mtu` bytes that must not be fragmented get to `peers`; empty where there is no ping."""

    waits = True

    peers: tuple[IPv4Address, ...]

    @property
    def command(self) -> str:
        """The size is that of the interface on the way to each peer."""
        peers = " ".join(str(peer) for peer in self.peers)
        return f"""\
command -v ping >/dev/null || exit 0
probe() {{
  device=$(ip -o route get "$1" | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p')
  size=$(( $(cat "/sys/class/net/$device/mtu") - {IP_AND_ICMP_HEADERS} ))
  small=no large=no
  ping -n -q -c 1 -W {scaled(1)} "$1" >/dev/null && small=yes
  ping -n -q -c 1 -W {scaled(1)} -M do -s "$size" "$1" >/dev/null && large=yes
  echo "$1 $small $large"
}}
for peer in {peers}; do probe "$peer" & done; wait"""

    def value(self, output: bytes) -> Mapping[IPv4Address, FullPacket]:
        rows = (line.split() for line in output.decode(errors="replace").splitlines())
        return {IPv4Address(row[0]): FullPacket(row[1] == "yes", row[2] == "yes") for row in rows if len(row) == 3}
