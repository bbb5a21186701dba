"""Which processes wait for connections, and which unit each belongs to."""

import re
from dataclasses import dataclass

from kbootstrap.facts.fact import Single

_SCRIPT = """\
listening=$(ss -Hltunp)
printf '%s\\n' "$listening"
set -- /dev/null
for pid in $(printf '%s\\n' "$listening" | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u); do
  set -- "$@" "/proc/$pid/cgroup"
done
grep -HE '^0::|:name=systemd:' "$@"
"""

_PROCESS = re.compile(r'\("([^"]*)",pid=(\d+)')
_CGROUP = re.compile(r"/proc/(\d+)/cgroup:[^:]*:[^:]*:(.*)")

PODS = "kubepods"
"""What stands for the unit of a process in a pod."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that waits for connections (or datagrams)."""

    protocol: str
    """tcp or udp."""
    address: str
    port: int
    process: str
    """Empty when the kernel itself listens, as for VXLAN."""
    pid: int
    unit: str
    """The systemd unit the process belongs to, PODS for a pod's; empty when there is none."""


@dataclass(frozen=True, slots=True)
class Listeners(Single[tuple[Listener, ...]]):
    """Everything that listens."""

    @property
    def command(self) -> str:
        return _SCRIPT

    def value(self, output: bytes) -> tuple[Listener, ...]:
        lines = output.decode(errors="replace").splitlines()
        units = {int(match[1]): _unit(match[2]) for line in lines if (match := _CGROUP.match(line))}
        found = (_listener(line.split(), units) for line in lines if line.startswith(("tcp", "udp")))
        return tuple(listener for listener in found if listener is not None)


def _listener(fields: list[str], units: dict[int, str]) -> Listener | None:
    if len(fields) < 5:
        return None
    address, _, port = fields[4].rpartition(":")
    process = _PROCESS.search(" ".join(fields[6:]))
    name, pid = (process[1], int(process[2])) if process else ("", 0)
    return Listener(
        protocol=fields[0],
        address=address.partition("%")[0].strip("[]"),
        port=int(port) if port.isdigit() else 0,
        process=name,
        pid=pid,
        unit=units.get(pid, ""),
    )


def _unit(cgroup: str) -> str:
    parts = cgroup.split("/")
    if any(part.startswith(PODS) for part in parts):
        return PODS
    units = [part for part in parts if part.endswith((".service", ".scope", ".socket"))]
    return units[-1] if units else ""
