"""Who and what a host is: read when its connection is opened, before anything is decided."""

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from kbootstrap.facts.fact import Single

KIB = 1024
_MEMORY = ("MemTotal:", "SwapTotal:")

_SCRIPT = """\
. /etc/os-release
echo "os=$ID"
echo "os_version=${VERSION_ID:-}"
echo "codename=${VERSION_CODENAME:-}"
set -- $(uname -nrm)
echo "hostname=$1"
echo "kernel=$2"
echo "arch=$3"
read -r machine_id </etc/machine-id
echo "machine_id=$machine_id"
echo "cpus=$(nproc)"
grep -E '^(Mem|Swap)Total:' /proc/meminfo
echo "clock=$(date +%s.%N)"
[ ! -d /run/systemd/system ] || echo systemd=yes
[ ! -e /sys/fs/cgroup/cgroup.controllers ] || echo cgroup=2
process=$$ ends=${SSH_CONNECTION:-}
while [ -z "$ends" ] && [ "${process:-0}" -gt 1 ]; do
  process=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$process/status)
  ends=$(tr '\\0' '\\n' </proc/$process/environ | sed -n 's/^SSH_CONNECTION=//p')
done 2>/dev/null
set -- $ends
echo "ssh_client=${1:-}"
echo "ssh_port=${4:-}"
! grep -qsE '^(deb |URIs:)' /etc/apt/sources.list /etc/apt/sources.list.d/* || echo sources=yes
for tool in tar base64 sha256sum curl systemctl apt-get modprobe ip; do
  command -v $tool >/dev/null || echo "missing=$tool"
done
echo "addresses=$(ip -json address)"
"""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface, its IPv4 addresses, and its hardware address."""

    name: str
    mtu: int
    addresses: tuple[IPv4Interface, ...]
    mac: str = ""


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
    """Where this SSH session comes from, as the host sees it; empty when unknown. sudo hides it and is asked."""
    ssh_port: int
    """Where the host's sshd listens, which a port on the way may lead to; 0 when unknown."""
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
        lines = output.decode(errors="replace").splitlines()
        pairs = [line.partition("=")[::2] for line in lines]
        said = dict(pairs)
        memory = {line.split()[0]: int(line.split()[1]) * KIB for line in lines if line.startswith(_MEMORY)}
        return HostIdentity(
            os=said.get("os", ""),
            os_version=said.get("os_version", ""),
            codename=said.get("codename", ""),
            arch=said.get("arch", ""),
            kernel=said.get("kernel", ""),
            hostname=said.get("hostname", ""),
            machine_id=said.get("machine_id", ""),
            cpus=int(said.get("cpus") or 0),
            memory_bytes=memory.get("MemTotal:", 0),
            swap_bytes=memory.get("SwapTotal:", 0),
            clock=float(said.get("clock") or 0),
            has_systemd=said.get("systemd") == "yes",
            cgroup_version=2 if said.get("cgroup") == "2" else 1,
            ssh_client=said.get("ssh_client", ""),
            ssh_port=int(said.get("ssh_port") or 0),
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
                IPv4Interface(f"{entry['local']}/{entry['prefixlen']}")
                for entry in link.get("addr_info", [])
                if entry.get("family", "inet") == "inet"
            ),
            mac=link.get("address", ""),
        )
        for link in json.loads(text)
        if "ifname" in link
    )
