"""A cgroup per host in every hierarchy of this machine: its processes' home, and what finds them again.

A process belongs to a host if, and only if, it is in the host's cgroup. That outlives the program that
started it, and cannot be mistaken like a process number, which the kernel gives to somebody else later.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.errors import LabError

_PREFIX = "kbootstrap-lab-"
_CHILDREN = ("supervisor", "machine")  # machine is boot.sh's to remake
_WEIGHTS = (("cpu.shares", 1024, 262_144), ("cpu.weight", 100, 10_000))
"""Of v1 and v2: the file, what a group has by default, and the most (the kernel's cgroup documentation)."""
_PERIOD = 20_000
"""Microseconds in which a host may use up its processor time: short, as it stands still for the rest of them."""
_POLL_SECONDS = 0.02
_REMOVE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One cgroup hierarchy: where it is mounted, and below which folder the labs' cgroups go."""

    mount: Path
    parent: Path
    unified: bool


def hierarchies(mountinfo: str, membership: str) -> list[Hierarchy]:
    """The hierarchies that /proc/self/mountinfo and /proc/self/cgroup tell of.

    With cgroup v1 a lab goes below the cgroup of the caller, whose limits it shares. With v2 it goes below
    the root: no controller could be had below a cgroup that has processes of its own.
    """
    paths = dict(_memberships(membership))
    found: dict[frozenset[str], Hierarchy] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        root, mount = left.split()[3:5]
        kind, _, options = right.split()[:3]
        if kind == "cgroup2":
            found.setdefault(frozenset(), Hierarchy(Path(mount), Path(mount), unified=True))
        elif kind == "cgroup":
            controllers = next((names for names in paths if names and names <= set(options.split(","))), None)
            if controllers is not None:
                below = os.path.relpath(paths[controllers], root)
                found.setdefault(controllers, Hierarchy(Path(mount), Path(mount, below), unified=False))
    return list(found.values())


def _memberships(text: str) -> Iterator[tuple[frozenset[str], str]]:
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        yield frozenset(filter(None, controllers.split(","))), path


def machine_hierarchies() -> list[Hierarchy]:
    """This machine's hierarchies."""
    return hierarchies(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())


def groups(lab: str, host: str = "") -> list[Path]:
    """The cgroups of a lab, or of one of its hosts, wherever in its hierarchy an earlier caller has put them."""
    found = (group / host for hierarchy in machine_hierarchies() for group in _named(hierarchy.mount, _PREFIX + lab))
    return [group for group in found if group.exists()]


def _named(top: Path, name: str) -> Iterator[Path]:
    for folder, children, _ in os.walk(top):
        if name in children:
            yield Path(folder, name)
        children[:] = [child for child in children if not child.startswith(_PREFIX)]


def create(lab: str, host: str, weight: int) -> list[Path]:
    """Make the cgroups of a host that is off, one in every hierarchy, afresh; `weight` is 1 for most."""
    remove(lab, host, timeout=_REMOVE_SECONDS)
    return [_create(hierarchy, lab, host, weight) for hierarchy in machine_hierarchies()]


def _create(hierarchy: Hierarchy, lab: str, host: str, weight: int) -> Path:
    group = hierarchy.parent / (_PREFIX + lab)
    group.mkdir(exist_ok=True)
    own = group / host
    if not hierarchy.unified and (group / "cpuset.cpus").exists():
        _inherit_cpuset(group)
    own.mkdir()
    if hierarchy.unified:
        for parent in (hierarchy.parent, group, own):
            _delegate(parent)
    for child in _CHILDREN:
        (own / child).mkdir()
    _weigh(own, weight)
    # Together as many times as there are hosts: what else this machine does, such as asking them, is one more.
    _weigh(group, sum(child.is_dir() for child in group.iterdir()))
    _limit(own)
    return own


def _inherit_cpuset(group: Path) -> None:
    """A v1 cpuset without CPUs and memory nodes takes no process; clone_children makes its children copy them."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        (group / name).write_text((group.parent / name).read_text())
    (group / "cgroup.clone_children").write_text("1")


def _weigh(group: Path, weight: int) -> None:
    """That many times as much processor time as other groups beside it when all want some."""
    for name, one, most in _WEIGHTS:
        if (group / name).exists():
            (group / name).write_text(str(min(weight * one, most)))


def _limit(own: Path) -> None:
    """No host takes more than half of this machine: what one is busy with must not look like an outage of the others.

    An apiserver without its etcd asks for its watches a thousand times a second, and took one and a half of two
    processors for 15 s.
    """
    quota = max(len(os.sched_getaffinity(0)) // 2, 1) * _PERIOD
    for name, text in (
        ("cpu.cfs_period_us", f"{_PERIOD}"),
        ("cpu.cfs_quota_us", f"{quota}"),
        ("cpu.max", f"{quota} {_PERIOD}"),
    ):
        if (own / name).exists():
            (own / name).write_text(text)


def _delegate(group: Path) -> None:
    controllers = (group / "cgroup.controllers").read_text().split()
    (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))


def processes(lab: str, host: str = "") -> set[int]:
    """The processes of a lab, or of one of its hosts."""
    return {pid for group in groups(lab, host) for folder, _, _ in os.walk(group) for pid in _listed(Path(folder))}


def _listed(group: Path) -> Iterator[int]:
    with suppress(OSError):  # gone since it was seen, or (v2) threaded
        yield from map(int, (group / "cgroup.procs").read_text().split())


def kill(lab: str, host: str = "", *, timeout: float) -> None:
    """SIGKILL to every process of a lab or a host until there is none; `LabError` after `timeout` seconds."""
    place = f"/{_PREFIX}{lab}/{host}/" if host else f"/{_PREFIX}{lab}/"
    deadline = time.monotonic() + timeout
    while pids := processes(lab, host):
        if time.monotonic() > deadline:
            raise LabError(f"processes {sorted(pids)} survive SIGKILL", hint="look at their state in `ps`")
        for pid in pids:
            _kill(pid, place)
        time.sleep(_POLL_SECONDS)


def _kill(pid: int, place: str) -> None:
    """Kill `pid` if its cgroup still is below `place`: pinned, then looked at, then hit."""
    with suppress(ProcessLookupError, FileNotFoundError):
        pin = os.pidfd_open(pid)
        try:
            if place in Path(f"/proc/{pid}/cgroup").read_text():
                signal.pidfd_send_signal(pin, signal.SIGKILL)
        finally:
            os.close(pin)


def remove(lab: str, host: str = "", *, timeout: float) -> None:
    """Remove the cgroups, without processes, of a lab or a host; `LabError` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while left := groups(lab, host):
        if time.monotonic() > deadline:
            raise LabError(f"cgroup {left[0]} cannot be removed", hint="is there a process in it?")
        for group in left:
            with suppress(OSError):  # busy for a moment after its last process was killed
                for folder, _, _ in os.walk(group, topdown=False):
                    Path(folder).rmdir()
