"""The runner: order, checks, failures, and stopping between two tasks."""

import threading
from pathlib import Path

import pytest

from kbootstrap.checks.check import Check
from kbootstrap.engine.plan import Plan, Task
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.engine.runner import Runner
from kbootstrap.errors import CheckFailed, CommandFailed, HostsFailed
from kbootstrap.events import ChangeMade, Event, PhaseFinished, PhaseStarted
from kbootstrap.steps.step import Change
from tests.local_host import LocalConnection


class World:
    """Hosts whose changes write their names into one log."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.events: list[Event] = []
        self.stop = threading.Event()
        self.checks: dict[str, Check] = {}

    def change(self, name: str, script: str = "true") -> Change:
        return Change(f"do {name}", f"{script}\necho {name} >>{self.log}", name)

    def run(self, phases: list[Phase], tasks: list[Task]) -> None:
        Runner(
            plan=Plan(Playbook(name="some", phases=tuple(phases)), tuple(tasks)),
            connections={name: LocalConnection(name) for name in ("a", "b", "c")},
            deliver=lambda _connection, _digests: "",
            checks=lambda task: [self.checks[task.phase]] if task.phase in self.checks else [],
            emit=self.events.append,
            stop=self.stop,
        ).run()

    @property
    def made(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_phases_follow_each_other(world: World) -> None:
    phases = [Phase(phase="one"), Phase(phase="two")]
    tasks = [Task(phase, host, (world.change(f"{phase}-{host}"),)) for phase in ("one", "two") for host in "ab"]
    world.run(phases, tasks)
    assert sorted(world.made[:2]) == ["one-a", "one-b"]
    assert sorted(world.made[2:]) == ["two-a", "two-b"]


def test_what_happens_is_told(world: World) -> None:
    world.run([Phase(phase="one")], [Task("one", "a", (world.change("x"), world.change("y")))])
    assert [type(event) for event in world.events] == [PhaseStarted, ChangeMade, ChangeMade, PhaseFinished]
    finished = world.events[-1]
    assert isinstance(finished, PhaseFinished)
    assert (finished.changes, finished.error) == (2, None)


def test_nothing_happens_where_nothing_is_due(world: World) -> None:
    world.checks["one"] = Check("never", "false", deadline=1)
    world.run([Phase(phase="one")], [Task("one", "a", ())])
    assert world.events == []


def test_a_failure_names_the_change_and_what_it_printed(world: World) -> None:
    broken = world.change("broken", "echo the disk is full >&2; false")
    with pytest.raises(CommandFailed) as caught:
        world.run([Phase(phase="one")], [Task("one", "a", (world.change("x"), broken, world.change("y")))])
    assert caught.value.host == "a"
    assert "do broken" in caught.value.message
    assert "the disk is full" in (caught.value.output or "")
    assert world.made == ["x"]


def test_a_failure_stops_what_comes_after_on_every_host(world: World) -> None:
    phases = [Phase(phase="one"), Phase(phase="two")]
    tasks = [Task("one", "a", (world.change("x", "false"),)), Task("one", "b", (world.change("one-b"),))]
    tasks += [Task("two", host, (world.change(f"two-{host}"),)) for host in "ab"]
    with pytest.raises(CommandFailed):
        world.run(phases, tasks)
    assert world.made == ["one-b"]


def test_a_rolling_phase_leaves_the_other_hosts_alone_after_a_failed_check(world: World) -> None:
    world.checks["one"] = Check("healthy", "echo not yet; false", deadline=1, hint="look at the log")
    tasks = [Task("one", host, (world.change(host),), serving=True) for host in "abc"]
    with pytest.raises(CheckFailed) as caught:
        world.run([Phase(phase="one", rolling=True)], tasks)
    assert world.made == ["a"]
    assert (caught.value.host, caught.value.output, caught.value.hint) == ("a", "not yet", "look at the log")


def test_a_host_that_an_earlier_run_left_unwell_stops_the_rollout(world: World) -> None:
    world.checks["one"] = Check("healthy", "echo not yet; false", deadline=1)
    tasks = [Task("one", "a", (), serving=True), Task("one", "b", (world.change("b"),), serving=True)]
    with pytest.raises(CheckFailed) as caught:
        world.run([Phase(phase="one", rolling=True)], tasks)
    assert (caught.value.host, world.made) == ("a", [])


def test_some_failures_may_be_allowed(world: World) -> None:
    phases = [Phase(phase="one", serial=1, max_failures=1), Phase(phase="two")]
    tasks = [Task("one", host, (world.change(host, "false" if host == "a" else "true"),)) for host in "abc"]
    tasks += [Task("two", host, (world.change(f"two-{host}"),)) for host in "abc"]
    with pytest.raises(CommandFailed):
        world.run(phases, tasks)
    assert world.made[:2] == ["b", "c"]
    assert sorted(world.made[2:]) == ["two-b", "two-c"]


def test_every_failure_is_reported(world: World) -> None:
    tasks = [Task("one", host, (world.change(host, "false"),)) for host in "ab"]
    with pytest.raises(HostsFailed) as caught:
        world.run([Phase(phase="one")], tasks)
    assert sorted(failure.host or "" for failure in caught.value.failures) == ["a", "b"]


def test_a_stop_lets_the_running_task_end_and_begins_no_other(world: World) -> None:
    phases = [Phase(phase="one"), Phase(phase="two")]
    world.stop.clear()

    def stop_when_started(event: Event) -> None:
        world.events.append(event)
        if isinstance(event, PhaseStarted):
            world.stop.set()

    runner = Runner(
        plan=Plan(
            Playbook(name="some", phases=tuple(phases)),
            (Task("one", "a", (world.change("x"),)), Task("two", "a", (world.change("y"),))),
        ),
        connections={"a": LocalConnection("a")},
        deliver=lambda _connection, _digests: "",
        checks=lambda _task: [],
        emit=stop_when_started,
        stop=world.stop,
    )
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    assert world.made == ["x"]
