"""etcd as one of its members sees it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kbootstrap.errors import KbootstrapError
from kbootstrap.verify.everywhere import Everywhere

_BOUNDARY = "-- kbootstrap --"
_ETCDCTL = "/usr/local/bin/etcdctl --command-timeout=5s --write-out=json"
_SCRIPT = f"{_ETCDCTL} member list; echo; echo '{_BOUNDARY}'; {_ETCDCTL} endpoint status --cluster"


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
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EtcdCluster:
    """`problem` is what was said when no member could be asked."""

    members: tuple[Member, ...] = ()
    statuses: tuple[MemberStatus, ...] = ()
    problem: str = ""


def ask(hosts: Everywhere, names: Sequence[str]) -> EtcdCluster:
    """Asks one host after the other, until one knows its peers."""
    problem = "none of its hosts can be reached"
    for name in names:
        if name not in hosts.remotes:
            continue
        try:
            result = hosts.remotes[name].run_script(_SCRIPT)
            return parse(result.stdout.decode(errors="replace"))
        except KbootstrapError as error:
            problem = str(error)
        except ValueError:
            problem = f"{name}: {result.errors or result.text}"
    return EtcdCluster(problem=problem)


def parse(text: str) -> EtcdCluster:
    """What the script prints; raises ValueError when there is no list of members in it."""
    listed, _, said = text.partition(_BOUNDARY)
    members = tuple(_member(value) for value in json.loads(listed)["members"])
    names = {member.id: member.name for member in members}
    statuses = tuple(_status(value["Status"], names) for value in json.loads(said or "[]"))
    return EtcdCluster(members, statuses)


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
        errors=tuple(value.get("errors") or ()),
    )
