"""Which checks and guards a task gets: gates and guards are for hosts that serve, and `--no-drain` leaves some out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from kbootstrap.artifacts.releases import ReleaseSet
from kbootstrap.checks.catalogue import CHECKS, Scope
from kbootstrap.checks.check import Check
from kbootstrap.components.site import Site
from kbootstrap.engine.lock import Owner
from kbootstrap.engine.plan import Plan, Task
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.errors import CheckFailed
from kbootstrap.events import ignore
from kbootstrap.steps.step import Change
from kbootstrap.workflows import apply
from kbootstrap.workflows.apply import Run, execute
from kbootstrap.workflows.guards.scene import Scene
from kbootstrap.workflows.supplies import Supplies
from kbootstrap.workflows.survey import Survey
from kbootstrap.workflows.upgrade import DRAINING
from tests.golden.sites import TOPOLOGIES
from tests.local_host import LocalConnection

CLUSTER = TOPOLOGIES["vip"]
PHASE = Phase(
    phase="nodes",
    rolling=True,
    checks=("etcd-healthy",),
    gates=("node-ready",),
    around=("no-new-failures", "drained", "out-of-balancers"),
)
OWNER = Owner("me@here", "20261121-064233-ab12", "upgrade 1.36.4 -> 1.37.1", "2026-11-21T06:42:33+00:00")
RESTART = Change("restart", "true", "fingerprint", disrupts=True)


class Log(list[str]):
    """What happened, in order."""

    def check(self, name: str, *, passes: bool = True) -> object:
        def make(scope: Scope) -> Check:
            self.append(f"{name} {scope.host.name}")
            return Check(name, "true" if passes else "false", deadline=1)

        return make

    def guard(self, name: str) -> object:
        @contextmanager
        def held(scene: Scene) -> Iterator[None]:
            self.append(f"{name} {scene.host.name} of {scene.run}")
            yield

        return held


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    found = Log()
    monkeypatch.setattr(apply, "CHECKS", {name: found.check(name) for name in CHECKS})
    monkeypatch.setattr(apply, "GUARDS", {name: found.guard(name) for name in PHASE.around})
    return found


def run(task: Task, *, without: frozenset[str] = frozenset()) -> LocalConnection:
    host = LocalConnection(task.host)
    host.expect(re.compile("mkdir -p /var/log/kbootstrap .*", re.DOTALL))
    sites = cast(dict[str, Site], {task.host: None})
    survey = Survey(
        sites, Plan(Playbook(name="some", phases=(PHASE,)), (task,)), Supplies(cast(ReleaseSet, None), {}, {}, {})
    )
    execute(CLUSTER, {task.host: host}, survey, Run(OWNER, ignore, without=without))
    return host


def test_a_host_that_serves_is_guarded_and_passes_the_gates(log: Log) -> None:
    run(Task("nodes", "w1", (RESTART,), serving=True))
    guards = [f"{name} w1 of {OWNER.run}" for name in PHASE.around]
    assert log == [*guards, "etcd-healthy w1", "node-ready w1"]


def test_a_host_that_does_not_serve_yet_has_only_its_checks_to_pass(log: Log) -> None:
    run(Task("nodes", "w1", (RESTART,), serving=False))
    assert log == ["etcd-healthy w1"]


def test_without_draining_the_other_guards_and_the_gates_stay(log: Log) -> None:
    run(Task("nodes", "w1", (RESTART,), serving=True), without=DRAINING)
    assert log == [f"no-new-failures w1 of {OWNER.run}", "etcd-healthy w1", "node-ready w1"]


def test_the_journal_of_the_host_says_what_was_done(log: Log) -> None:
    started, ended = run(Task("nodes", "w1", (RESTART,), serving=True)).commands
    for line in (started, ended):
        assert "upgrade 1.36.4 -> 1.37.1" in line
        assert OWNER.run in line
    assert '"outcome": "started"' in started
    assert '"outcome": "ok"' in ended


def test_a_gate_that_is_not_passed_is_in_the_journal(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "CHECKS", {name: log.check(name, passes=name != "node-ready") for name in CHECKS})
    journal = []
    with pytest.raises(CheckFailed, match="node-ready was not reached"), monkeypatch.context() as patch:
        patch.setattr(apply, "record", lambda _connections, entry: journal.append(entry))
        run(Task("nodes", "w1", (RESTART,), serving=True))
    assert [entry.outcome for entry in journal] == ["started", "failed"]
    assert "node-ready" in journal[-1].error
