"""Who and what a host is: read when its connection is opened, before anything is decided."""

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from kbootstrap.facts.fact import Single

_SCRIPT = """\
. /etc/os-release
echo "os=$ID"
echo "os_version=${VERSION_ID:-}"
echo "codename=${VERSION_CODENAME:-}"
echo "arch=$(uname -m)"
echo "kernel=$(uname -r)"
echo "hostname=$(uname -n)"
echo "machine_id=$(cat /etc/machine-id)"
echo "cpus=$(nproc)"
echo "memory_kib=$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)"
echo "swap_kib=$(sed -n 's/^SwapTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)"
echo "clock=$(date +%s.%N)"
echo "systemd=$([ -d /run/systemd/system ] && echo yes || echo no)"
echo "cgroup=$([ -e /sys/fs/cgroup/cgroup.controllers ] && echo 2 || echo 1)"
echo "ssh_client=${SSH_CONNECTION%% *}"
echo "sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
  grep -qE '^(deb |URIs:)' && echo yes || echo no)"
for tool in tar base64 sha256sum curl systemctl apt-get modprobe ip; do
  command -v $tool >/dev/null || echo "missing=$tool"
done
echo "addresses=$(ip -json -4 address)"
"""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface and its IPv4 addresses."""

    name: str
    mtu: int
    addresses: tuple[IPv4Interface, ...]


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """What a host says of itself."""

    os: str
    os_version: str
    codename: str
    arch: str
    kernel: str
    hostname: str
    machine_id: str
    cpus: int
    memory_bytes: int
    swap_bytes: int
    clock: float
    """Seconds since the epoch, by the host's own clock."""
    has_systemd: bool
    cgroup_version: int
    ssh_client: str
    """Where this SSH session comes from, as the host sees it; empty when unknown (sudo hides it)."""
    has_package_sources: bool
    missing_tools: tuple[str, ...]
    interfaces: tuple[Interface, ...]

    def interface_of(self, address: IPv4Address) -> Interface | None:
        """The interface that has the address."""
        for interface in self.interfaces:
            if any(own.ip == address for own in interface.addresses):
                return interface
        return None


@dataclass(frozen=True, slots=True)
class Identity(Single[HostIdentity]):
    """Operating system, hardware, network, clock."""

    @property
    def command(self) -> str:
        return _SCRIPT

    def value(self, output: bytes) -> HostIdentity:
        pairs = [line.partition("=")[::2] for line in output.decode(errors="replace").splitlines()]
        said = dict(pairs)
        return HostIdentity(
            os=said.get("os", ""),
            os_version=said.get("os_version", ""),
            codename=said.get("codename", ""),
            arch=said.get("arch", ""),
            kernel=said.get("kernel", ""),
            hostname=said.get("hostname", ""),
            machine_id=said.get("machine_id", ""),
            cpus=int(said.get("cpus") or 0),
            memory_bytes=int(said.get("memory_kib") or 0) * 1024,
            swap_bytes=int(said.get("swap_kib") or 0) * 1024,
            clock=float(said.get("clock") or 0),
            has_systemd=said.get("systemd") == "yes",
            cgroup_version=int(said.get("cgroup") or 0),
            ssh_client=said.get("ssh_client", ""),
            has_package_sources=said.get("sources") == "yes",
            missing_tools=tuple(value for key, value in pairs if key == "missing"),
            interfaces=_interfaces(said.get("addresses") or "[]"),
        )


def _interfaces(text: str) -> tuple[Interface, ...]:
    return tuple(
        Interface(
            name=link["ifname"],
            mtu=link.get("mtu", 0),
            addresses=tuple(
                IPv4Interface(f"{entry['local']}/{entry['prefixlen']}") for entry in link.get("addr_info", [])
            ),
        )
        for link in json.loads(text)
        if "ifname" in link
    )
