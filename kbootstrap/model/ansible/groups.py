"""What an Ansible inventory says: groups of hosts with variables, and what that makes of each host."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kbootstrap.errors import Problem

ALL = "all"
UNGROUPED = "ungrouped"

Variables = dict[str, object]


class UnreadableInventory(Exception):
    """A file is no Ansible inventory of its kind; carries where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class Group:
    """A group: its own hosts, each with what is said of it there, and the groups in it."""

    hosts: dict[str, Variables] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    variables: Variables = field(default_factory=dict)


Groups = dict[str, Group]
"""By name. What is in no other group's children is in `all`."""


def host_names(groups: Groups) -> list[str]:
    """All hosts, in the order in which the file names them."""
    return list(dict.fromkeys(name for group in groups.values() for name in group.hosts))


def hosts_of(name: str, groups: Groups) -> set[str]:
    """The hosts of a group and of those in it."""
    return {host for inner in _below(name, groups) for host in groups[inner].hosts}


def effective(host: str, groups: Groups) -> Variables:
    """A host's variables: those of outer groups give way to those of inner ones, and these to its own."""
    depths = _depths(groups)
    containing = [name for name in groups if name == ALL or host in hosts_of(name, groups)]
    containing.sort(key=lambda name: (name != ALL, depths.get(name, 0), name))
    merged: Variables = {}
    for name in containing:
        merged |= groups[name].variables
    for group in groups.values():
        merged |= group.hosts.get(host, {})
    return merged


def _below(name: str, groups: Mapping[str, Group], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """A group and all in it, even when groups contain each other."""
    if name not in groups or name in seen:
        return
    yield name
    for child in groups[name].children:
        yield from _below(child, groups, seen | {name})


def _depths(groups: Groups) -> dict[str, int]:
    """How many groups each one lies in."""
    return {name: sum(1 for outer in groups if outer != name and name in _below(outer, groups)) for name in groups}
