"""Rollouts on paper: what the built-in playbooks would change, in which order, on hosts that have these versions."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from kbootstrap.components.binaries import OPT
from kbootstrap.engine.plan import Task
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.engine.selectors import selected
from kbootstrap.engine.strategy import batches
from kbootstrap.model import skew
from kbootstrap.model.cluster import Cluster, Host, Role
from kbootstrap.model.skew import Installed
from kbootstrap.model.versions import Version
from kbootstrap.steps.step import Change

NODE_PARTS = ("kubelet", "kube-proxy")
CONTROL_PLANE_PARTS = skew.PARTS


def site(control_planes: int, workers: int) -> Cluster:
    """A cluster of so many hosts. A single control-plane host is a worker too."""
    roles = {Role.CONTROL_PLANE, Role.ETCD} | ({Role.WORKER} if control_planes == 1 else set())
    hosts = [_host(f"cp{number}", 10 + number, *roles) for number in range(1, control_planes + 1)]
    hosts += [_host(f"w{number}", 20 + number, Role.WORKER) for number in range(1, workers + 1)]
    return Cluster("demo", Version(1, 36, 4), tuple(hosts))


def _host(name: str, last: int, *roles: Role) -> Host:
    return Host(name, IPv4Address(f"198.18.0.{last}"), frozenset(roles))


def everywhere(cluster: Cluster, version: Version) -> Installed:
    """The same version of everything on every host."""
    return {
        host.name: dict.fromkeys(CONTROL_PLANE_PARTS if host.is_control_plane else NODE_PARTS, version)
        for host in cluster.hosts
    }


def rollout(cluster: Cluster, playbook: Playbook, there: Installed, target: Version) -> Iterator[tuple[Task, ...]]:
    """The batches of a playbook, in order, with the changes of links that are due."""
    tasks = tasks_of(cluster, playbook, there, target)
    for phase in playbook.phases:
        of_phase = [task for task in tasks if task.phase == phase.phase]
        yield from (tuple(batch) for batch in batches(phase, of_phase))


def tasks_of(cluster: Cluster, playbook: Playbook, there: Installed, target: Version) -> tuple[Task, ...]:
    """The same, phase by phase."""
    return tuple(
        _task(phase, host, there, target)
        for phase in playbook.phases
        for host in cluster.hosts
        if selected(phase.hosts, cluster, host)
    )


def _task(phase: Phase, host: Host, there: Installed, target: Version) -> Task:
    wanted = [part for part in phase.components if part in there[host.name]]
    due = tuple(use(part) for part in wanted if there[host.name][part] != target)
    return Task(phase.phase, host.name, due, serving=bool(wanted))


def use(part: str) -> Change:
    """The change that makes another version of a part the one in use."""
    return Change(f"use {part}", "true", part, paths=frozenset({OPT / part / "current"}))


def parts_of(task: Task) -> list[str]:
    """The parts that a task changes, in its order."""
    return [change.fingerprint for change in task.changes]
