"""Whether a backup can be restored on these hosts, and what would be lost. Pure: decides; touches nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.artifacts.releases import ReleaseSet
from kbootstrap.components import etcd
from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.errors import PreflightFailed, Problem
from kbootstrap.facts.disks import DiskSpace
from kbootstrap.facts.etcd import EtcdStatus
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.versions import Version
from kbootstrap.workflows.restore.faults import WrongVersion
from kbootstrap.workflows.restore.manifest import Manifest
from kbootstrap.workflows.restore.record import RECORD_FACTS, Record, under_way
from kbootstrap.workflows.restore.steps import BUMP_REVISION, STAGE

SPARE_BYTES = 256 * 2**20
"""Beside the database: etcd lays out its log in files of 64 MiB, two at a time."""

STATUS = EtcdStatus(LOCAL_BIN / "etcdctl")
_PLACES = (etcd.DATA, STAGE)
SPACES = {place: DiskSpace(PurePosixPath(place)) for place in _PLACES}

ETCD_FACTS: tuple[Fact[Any], ...] = (STATUS, *SPACES.values(), *RECORD_FACTS)
"""What has to be read from the hosts of etcd and of the control plane."""


def require_versions(manifest: Manifest, cluster: Cluster, release: ReleaseSet) -> None:
    """The programs that will run can read what the backup's wrote. Raises WrongVersion.

    As for an upgrade: the same minor release, or the next one; never back.
    """
    for part, made, here in (
        ("etcd", manifest.etcd, Version.parse(release.etcd)),
        ("Kubernetes", manifest.kubernetes, cluster.kubernetes),
    ):
        there = Version.parse(made)
        if here.major != there.major or here.minor - there.minor not in (0, 1):
            raise WrongVersion(
                f"{manifest.id} was made with {part} {there}, and the inventory means {part} {here}",
                hint=f"restore with `kubernetes: {manifest.kubernetes}` in the inventory, and upgrade afterwards",
            )


def require_room(manifest: Manifest, seen: Mapping[str, Facts], cluster: Cluster) -> None:
    """Every member's host has room for the snapshot and for what becomes of it. Raises PreflightFailed."""
    problems = []
    for host in cluster.etcd_members:
        needed: dict[str, int] = {}
        free: dict[str, int] = {}
        for fact in SPACES.values():
            space = seen[host.name][fact]
            needed[space.mount] = needed.get(space.mount, SPARE_BYTES) + manifest.db_bytes
            free[space.mount] = space.free_bytes
        problems += [
            Problem(f"{host.name}: {mount or 'a disk'} has {free[mount] // 2**20} MiB free, {size // 2**20} are needed")
            for mount, size in needed.items()
            if free[mount] < size
        ]
    if problems:
        raise PreflightFailed(
            "there is no room for the restored data; nothing was changed", problems, hint="the old data are kept"
        )


def require_no_other(record: Mapping[str, Record], backup: str) -> None:
    """No restore of another backup is under way. Raises PreflightFailed."""
    others = sorted({each.backup for each in record.values()} - {backup})
    if others:
        raise PreflightFailed(
            f"a restore of {', '.join(others)} was begun and not ended; nothing was changed",
            hint=f"go on with `kbootstrap restore {others[0]}`, or take it back with `kbootstrap restore --undo`",
        )


def begun(seen: Mapping[str, Facts]) -> dict[str, Record]:
    """The restores that are under way, by host."""
    return {name: record for name, facts in seen.items() if RECORD_FACTS[0] in facts and (record := under_way(facts))}


@dataclass(frozen=True, slots=True)
class Loss:
    """What a restore takes away. `revisions` is None where that cannot be known."""

    age_seconds: float
    running: bool
    """Whether etcd answers now."""
    revisions: int | None = None
    why_unknown: str = ""


def loss(manifest: Manifest, seen: Mapping[str, Facts], cluster: Cluster, now: datetime) -> Loss:
    """How far the cluster has gone on since the backup."""
    age = manifest.age(now)
    states = [state for host in cluster.etcd_members if (state := seen[host.name][STATUS]) is not None]
    if not states:
        return Loss(age, running=False, why_unknown="no member of etcd answers")
    newest = max(states, key=lambda state: state.revision)
    if f"{newest.cluster:x}" != manifest.cluster_id.removeprefix("0x").lstrip("0"):
        return Loss(
            age,
            running=True,
            why_unknown="etcd was made anew since the backup, or restored: all that was written there is replaced",
        )
    return Loss(age, running=True, revisions=max(0, newest.revision - manifest.revision))


def restored_revision(manifest: Manifest) -> int:
    """Where revisions go on from."""
    return manifest.revision + BUMP_REVISION
