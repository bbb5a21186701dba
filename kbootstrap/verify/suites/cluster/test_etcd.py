"""etcd as a whole: all members there, one leader, one history."""

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify.etcd import EtcdCluster, MemberStatus

Statuses = tuple[MemberStatus, ...]

REVISIONS_APART = 200
"""Members are asked one after the other while others write: a handful of writes may lie between. A member that
lags is thousands behind."""

SPACE = 0.8
"""Of the quota; etcd refuses all writes at 1."""


@pytest.fixture(scope="module")
def answers(etcd: EtcdCluster) -> Statuses:
    """What the members say of themselves."""
    if not etcd.statuses:
        pytest.skip("no member answers; another test says so")
    return etcd.statuses


def test_all_answer(etcd: EtcdCluster) -> None:
    """Every member answers."""
    assert etcd.problems == {}, "on these hosts: journalctl -u etcd"


def test_members(etcd: EtcdCluster, cluster: Cluster) -> None:
    """The members are the inventory's hosts, all started, none a learner."""
    if not etcd.members:
        pytest.skip("no member answers; another test says so")
    members = {member.name or "(never started)" for member in etcd.members}
    assert members == {host.name for host in cluster.etcd_members}, "members"
    learners = [member.name for member in etcd.members if member.learner]
    assert learners == [], "these have no vote yet"


def test_one_leader(answers: Statuses) -> None:
    """All members follow the same leader."""
    leaders = {status.name: status.leader for status in answers}
    assert set(leaders.values()) != {0}, "there is no leader"
    assert len(set(leaders.values())) == 1, f"members follow different leaders: {leaders}"


def test_one_cluster(answers: Statuses) -> None:
    """All members belong to the same cluster."""
    identities = {status.name: status.cluster_id for status in answers}
    assert len(set(identities.values())) == 1, f"members belong to different clusters: {identities}"


def test_one_history(answers: Statuses) -> None:
    """All members are at the same revision, within a few writes."""
    revisions = [status.revision for status in answers]
    apart = max(revisions, default=0) - min(revisions, default=0)
    assert apart <= REVISIONS_APART, "a member lags behind (revisions)"


def test_one_version(answers: Statuses) -> None:
    """All members are of the same version."""
    versions = {status.name: status.version for status in answers}
    assert len(set(versions.values())) == 1, f"members are of different versions: {versions}"


def test_alarms(answers: Statuses) -> None:
    """No alarm is raised."""
    alarms = {status.name: status.alarms for status in answers if status.alarms}
    assert alarms == {}, "NOSPACE: etcd is read-only until compacted and defragmented; CORRUPT: members differ"


def test_space(answers: Statuses, cluster: Cluster) -> None:
    """The databases have room to grow."""
    limit = round(cluster.settings.etcd.quota_bytes * SPACE)
    largest = max((status.size for status in answers), default=0)
    assert largest <= limit, "bytes; etcd refuses all writes at its quota"
