"""What speaks against a restore, and what it would cost."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.errors import InvalidInput, PreflightFailed
from kbootstrap.facts.disks import Space
from kbootstrap.facts.etcd import MemberStatus
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.paths import ABSENT, PathStat, PathState
from kbootstrap.model.versions import Version
from kbootstrap.workflows.restore.faults import WrongVersion
from kbootstrap.workflows.restore.judgement import (
    SPACES,
    STATUS,
    begun,
    loss,
    require_no_other,
    require_room,
    require_versions,
)
from kbootstrap.workflows.restore.manifest import Manifest
from kbootstrap.workflows.restore.record import DONE, UNDER_WAY, Record
from kbootstrap.workflows.restore.restore import remaining
from tests.unit.workflows.hosts import cluster
from tests.unit.workflows.restore.backups import BACKUP, MADE

MIB = 2**20
RELEASE = load_catalogue().release(Version(1, 36, 4))


def manifest(**changed: Any) -> Manifest:
    return Manifest.model_validate(
        {
            "kind": "kbootstrap-backup/v1",
            "id": BACKUP,
            "cluster": "demo",
            "cluster_id": "cdf818194e3a8c32",
            "host": "cp1",
            "made": MADE,
            "revision": 1000,
            "keys": 7,
            "hash": 1,
            "db_bytes": 100 * MIB,
            "etcd": RELEASE.etcd,
            "kubernetes": "1.36.4",
            "files": {},
            **changed,
        }
    )


@pytest.mark.parametrize("kubernetes", ["1.36.4", "1.36.0", "1.35.3", "1.36.9"])
def test_the_same_minor_and_the_one_before_can_be_read(kubernetes: str) -> None:
    require_versions(manifest(kubernetes=kubernetes), cluster(), RELEASE)


@pytest.mark.parametrize(
    "changed", [{"kubernetes": "1.37.0"}, {"kubernetes": "1.34.1"}, {"etcd": "3.4.9"}, {"etcd": "3.7.0"}]
)
def test_other_versions_cannot(changed: dict[str, str]) -> None:
    with pytest.raises(WrongVersion, match=next(iter(changed.values()))) as error:
        require_versions(manifest(**changed), cluster(), RELEASE)
    assert "kubernetes:" in str(error.value.hint)


def rooms(data: tuple[str, int], stage: tuple[str, int]) -> dict[str, Facts]:
    spaces = [
        Space(mount, 100 * MIB, free * MIB, None, read_only=False, occupied=True) for mount, free in (data, stage)
    ]
    return {name: Facts(dict(zip(SPACES.values(), spaces, strict=True))) for name in ("cp1", "cp2", "cp3")}


@pytest.mark.parametrize(
    ("data", "stage", "fits"),
    [
        (("/", 456), ("/", 456), True),
        (("/", 455), ("/", 455), False),
        (("/var/lib/etcd", 356), ("/", 356), True),
        (("/var/lib/etcd", 355), ("/", 10_000), False),
        (("/var/lib/etcd", 10_000), ("/", 355), False),
    ],
)
def test_room_is_counted_by_file_system(data: tuple[str, int], stage: tuple[str, int], fits: bool) -> None:
    seen = rooms(data, stage)
    if fits:
        require_room(manifest(), seen, cluster())
        return
    with pytest.raises(PreflightFailed) as error:
        require_room(manifest(), seen, cluster())
    assert {problem.message.partition(":")[0] for problem in error.value.problems} == {"cp1", "cp2", "cp3"}


def member(revision: int, cluster_id: int = 0xCDF818194E3A8C32) -> MemberStatus:
    return MemberStatus(1, 1, "3.6.16", revision, 2, 10, 10, 1, 1, learner=False, alarms=(), cluster=cluster_id)


def asked(*states: MemberStatus | None) -> dict[str, Facts]:
    return {name: Facts({STATUS: state}) for name, state in zip(("cp1", "cp2", "cp3"), states, strict=True)}


def test_what_is_lost_is_told_in_revisions() -> None:
    told = loss(manifest(), asked(member(1200), None, member(1234)), cluster(), MADE + timedelta(hours=2))
    assert (told.revisions, told.running, told.age_seconds) == (234, True, 7200)


def test_what_is_lost_of_a_cluster_that_is_down_cannot_be_told() -> None:
    told = loss(manifest(), asked(None, None, None), cluster(), MADE)
    assert (told.revisions, told.running) == (None, False)


def test_revisions_of_another_history_cannot_be_compared() -> None:
    told = loss(manifest(), asked(member(5000, 7), member(5000, 7), None), cluster(), MADE)
    assert (told.revisions, told.running) == (None, True)


def noted(record: Record | None, ended: Record | None = None) -> Facts:
    def stat(value: Record | None) -> PathStat:
        return ABSENT if value is None else PathStat("file", content=value.model_dump_json().encode())

    return Facts({PathState(UNDER_WAY): stat(record), PathState(DONE): stat(ended)})


RECORD = Record(backup=BACKUP, run="20261121-070000-abcd", began="2026-11-21T07:00:00+00:00")


def test_only_the_restore_that_was_begun_is_gone_on_with() -> None:
    seen = {"cp1": noted(RECORD), "cp2": noted(None, RECORD), "w1": Facts()}
    assert begun(seen) == {"cp1": RECORD}
    require_no_other(begun(seen), BACKUP)
    with pytest.raises(PreflightFailed, match="begun and not ended") as error:
        require_no_other(begun(seen), "demo-20261121T080000Z-cp2")
    assert BACKUP in str(error.value.hint)


def test_hosts_are_given_up_by_name() -> None:
    assert [host.name for host in remaining(cluster(), ("cp2", "w1")).hosts] == ["cp1", "cp3"]
    with pytest.raises(InvalidInput, match="no host is called cp9"):
        remaining(cluster(), ("cp9",))
    with pytest.raises(InvalidInput, match="leaves no control-plane host"):
        remaining(cluster(), ("cp1", "cp2", "cp3"))
    assert replace(cluster(), hosts=()).hosts == ()
