"""Carries out a plan on hosts that are connected and locked, and keeps the record of it."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

from kbootstrap.checks.catalogue import CHECKS, Scope
from kbootstrap.checks.check import Check
from kbootstrap.engine.delivery import delivering
from kbootstrap.engine.journal import Entry, now, record, recorded, state_folder
from kbootstrap.engine.lock import Owner, locked
from kbootstrap.engine.plan import Plan, Task
from kbootstrap.engine.runner import Runner
from kbootstrap.errors import KbootstrapError
from kbootstrap.events import Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.guards.catalogue import GUARDS
from kbootstrap.workflows.guards.scene import Scene
from kbootstrap.workflows.survey import Survey


@dataclass(slots=True)
class Run:
    """One run that changes hosts: who, what, and the switch that stops it between two tasks."""

    owner: Owner
    emit: Sink
    stop: threading.Event = field(default_factory=threading.Event)
    without: frozenset[str] = frozenset()
    """Guards that the user has turned off."""


@contextmanager
def exclusive(cluster: Cluster, connections: Mapping[str, Connection], owner: Owner, emit: Sink) -> Iterator[Run]:
    """A run that nobody else's disturbs, and whose events are on record here. Raises Locked."""
    with locked(connections, owner), recorded(state_folder(cluster.name), owner.run, emit) as sink:
        yield Run(owner, sink)


def execute(cluster: Cluster, connections: Mapping[str, Connection], survey: Survey, run: Run) -> None:
    """Makes all changes of the survey's plan and waits for its checks."""
    addresses = {host.name: host.ssh_address or str(host.address) for host in cluster.hosts if not host.ssh.jump}
    way = cluster.settings.artifacts.delivery
    with delivering(survey.supplies.all, addresses, way) as deliver, journalled(connections, survey.plan, run):
        Runner(
            plan=survey.plan,
            connections=connections,
            deliver=deliver,
            checks=lambda task: _checks(cluster, survey, task),
            guards=lambda task: _guards(cluster, connections, survey.plan, run, task),
            emit=run.emit,
            scale=cluster.settings.timeouts.scale,
            stop=run.stop,
        ).run()


def _checks(cluster: Cluster, survey: Survey, task: Task) -> Sequence[Check]:
    names = (*survey.plan.phase(task.phase).checks, *gates(survey.plan, task))
    scope = Scope(cluster, cluster.host(task.host), tuple(host for host in cluster.hosts if host.name in survey.sites))
    return [CHECKS[name](scope) for name in names]


def gates(plan: Plan, task: Task) -> list[str]:
    """The gates of the task's phase, but those of a phase with a part on this host that did not run.

    A run may be killed between two phases with the same gate: that of the first would wait for what the second starts.
    """
    off = {
        gate for other in plan.tasks if other.host == task.host and not other.serving for gate in _gates(plan, other)
    }
    return [gate for gate in _gates(plan, task) if gate not in off]


def _gates(plan: Plan, task: Task) -> tuple[str, ...]:
    return plan.phase(task.phase).gates


def _guards(
    cluster: Cluster, connections: Mapping[str, Connection], plan: Plan, run: Run, task: Task
) -> Sequence[AbstractContextManager[None]]:
    scene = Scene(cluster, cluster.host(task.host), connections, run.owner.run, run.emit)
    return [GUARDS[name](scene) for name in plan.phase(task.phase).around if name not in run.without]


@contextmanager
def journalled(connections: Mapping[str, Connection], plan: Plan, run: Run) -> Iterator[None]:
    """Notes on every host that a run began, and how it ended; nothing is noted where nothing changes."""
    if not plan.changes:
        yield
        return
    began = time.monotonic()
    entry = Entry(run.owner.run, now(), run.owner.who, run.owner.command, "started", plan.changes)
    record(connections, entry)
    outcome, error = "interrupted", ""
    try:
        yield
        outcome = "ok"
    except KbootstrapError as failure:
        outcome, error = "failed", str(failure)
        raise
    finally:
        seconds = round(time.monotonic() - began, 1)
        record(connections, replace(entry, at=now(), outcome=outcome, seconds=seconds, error=error))
