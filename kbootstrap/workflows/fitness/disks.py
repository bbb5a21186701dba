"""Whether there is room for what will be installed."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.facts.disks import DiskSpace, Space
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.workflows.fitness.finding import Finding

MB = 10**6

INSTALLED_SHARE = 0.05
"""How much of its room a part must still find once it is there: for configuration, logs, the next small artifact."""

LEAST_INODES = 2_000
"""Files that the images and programs of a bare node bring, with room to spare."""


@dataclass(frozen=True, slots=True)
class Need:
    """Room that a path takes on a bare host; `node` and `etcd` say on which hosts."""

    path: PurePosixPath
    bytes: int
    node: bool = True
    etcd: bool = True


NEEDS = (
    Need(PurePosixPath("/opt/kbootstrap"), 900 * MB),
    Need(PurePosixPath("/var/lib/containerd"), 1000 * MB, etcd=False),
    Need(PurePosixPath("/var/lib/kubelet"), 100 * MB, etcd=False),
    Need(PurePosixPath("/var/lib/etcd"), 500 * MB, node=False),
    Need(PurePosixPath("/var/log"), 100 * MB),
    Need(PurePosixPath("/var/lib/kbootstrap"), 5 * MB),
    Need(PurePosixPath("/etc/kubernetes"), 5 * MB),
    Need(PurePosixPath("/run/kbootstrap"), 5 * MB),
)
"""Programs: about 0.6 GB on a control-plane host, and the next version beside the present one. etcd: two
preallocated 64 MB segments of its log, a snapshot, a young database."""


def needs(host: Host) -> list[Need]:
    """What applies to a host."""
    return [need for need in NEEDS if (need.node and host.is_node) or (need.etcd and host.is_etcd)]


def disk_facts(cluster: Cluster, host: Host) -> Sequence[Fact[Any]]:
    """What `disks` needs."""
    return [DiskSpace(need.path) for need in needs(host)]


def disks(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    """File systems that are full or cannot be written. What shares a file system is added up."""
    mounts: dict[str, list[tuple[Need, Space]]] = defaultdict(list)
    for need in needs(host):
        space = facts[DiskSpace(need.path)]
        if space.mount:
            mounts[space.mount].append((need, space))
    for mount, wanted in mounts.items():
        yield from _mount(host, mount, wanted)


def _mount(host: Host, mount: str, wanted: Sequence[tuple[Need, Space]]) -> Iterator[Finding]:
    space = wanted[0][1]
    amounts = {str(need.path): _amount(need, its) for need, its in wanted}
    needed = sum(amounts.values())
    if space.read_only:
        yield Finding(
            host.name,
            "disk",
            f"{mount} is mounted read-only, and {', '.join(amounts)} must be written",
            f"look at `dmesg` on {host.name} for disk errors, then: mount -o remount,rw {mount}",
        )
    elif space.free_bytes < needed:
        yield Finding(
            host.name,
            "disk",
            _full(mount, space, amounts),
            f"on the host: make room (du -xh {mount} | sort -h | tail), or put a larger disk there",
        )
    elif space.free_inodes is not None and space.free_inodes < LEAST_INODES:
        yield Finding(
            host.name,
            "disk",
            f"{mount} can take {space.free_inodes} more files; {LEAST_INODES} are needed",
            f"on the host: find what holds many small files (du --inodes -x {mount} | sort -n | tail)",
        )


def _amount(need: Need, space: Space) -> float:
    return need.bytes * INSTALLED_SHARE if space.occupied else need.bytes


def _full(mount: str, space: Space, amounts: Mapping[str, float]) -> str:
    purposes = ", ".join(f"{path} {_megabytes(amount)}" for path, amount in amounts.items())
    free, needed = _megabytes(space.free_bytes), _megabytes(sum(amounts.values()))
    return f"{mount} has {free} free; {needed} are needed ({purposes})"


def _megabytes(amount: float) -> str:
    return f"{amount / MB:.0f} MB"
