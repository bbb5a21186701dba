"""etcd as its members see it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify import asking
from kbootstrap.verify.everywhere import Everywhere

SHOWN = 200
"""Characters of what a member says instead of an answer."""

_BOUNDARY = "-- kbootstrap --"


@dataclass(frozen=True, slots=True)
class Member:
    """A member by etcd's own list; one that was added and never started has no name."""

    id: int
    name: str
    learner: bool


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """What a member says of itself."""

    name: str
    cluster_id: int
    leader: int
    revision: int
    version: str
    size: int
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EtcdCluster:
    """The members by the list of the first that has one, and what each says of itself, by host."""

    members: tuple[Member, ...] = ()
    statuses: tuple[MemberStatus, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    """What was said instead, by host."""


def ask(hosts: Everywhere, cluster: Cluster) -> EtcdCluster:
    """Asks every member on its own host."""
    etcdctl = f"{asking.etcdctl(cluster)} --write-out=json"
    # The list as the member has it, and what the member says of itself: neither needs a quorum.
    script = f"{etcdctl} member list --consistency=s; echo; echo '{_BOUNDARY}'; {etcdctl} endpoint status"
    members: tuple[Member, ...] = ()
    statuses, problems = [], {}
    for name, said in hosts.run(script, [host.name for host in cluster.etcd_members]).items():
        listed, _, own = said.partition(_BOUNDARY)
        try:
            here = tuple(_member(value) for value in json.loads(listed)["members"])
            statuses.append(_status(json.loads(own)[0]["Status"], {member.id: member.name for member in here}))
            members = members or here
        except (ValueError, LookupError):
            problems[name] = said.strip().rpartition("\n")[2][-SHOWN:] or "no answer"
    return EtcdCluster(members, tuple(statuses), problems)


def _member(value: dict[str, Any]) -> Member:
    return Member(value["ID"], value.get("name", ""), value.get("isLearner", False))


def _status(value: dict[str, Any], names: dict[int, str]) -> MemberStatus:
    header = value["header"]
    return MemberStatus(
        name=names.get(header["member_id"], f"{header['member_id']:x}"),
        cluster_id=header["cluster_id"],
        leader=value.get("leader", 0),
        revision=header["revision"],
        version=value["version"],
        size=value["dbSize"],
        alarms=tuple(error for error in value.get("errors") or () if "alarm" in error),
    )
