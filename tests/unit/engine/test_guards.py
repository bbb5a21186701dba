"""What is held around the work on a host that serves, and what is asked between two hosts."""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from kbootstrap.checks.check import Check
from kbootstrap.engine.plan import Plan, Task
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.engine.runner import Runner
from kbootstrap.errors import CheckFailed, CommandFailed, HostsFailed, Unreachable
from kbootstrap.events import Event, PhaseFinished
from kbootstrap.steps.step import Change
from tests.fakes import FakeConnection
from tests.local_host import LocalConnection

ROLLING = Phase(phase="one", rolling=True)


class World:
    """Hosts whose changes, checks and guards write their names into one log."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.events: list[Event] = []
        self.refuses: set[str] = set()
        """Guards that cannot be entered, or left: `enter outer-a`."""
        self.check = "true"

    def change(self, host: str, script: str = "true", *, disrupts: bool = True) -> Change:
        return Change(f"do {host}", f"{script}\necho {host} >>{self.log}", host, disrupts=disrupts)

    def note(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{text}\n")
        if text in self.refuses:
            raise CheckFailed(f"cannot {text}")

    @contextmanager
    def guard(self, name: str, host: str) -> Iterator[None]:
        self.note(f"enter {name}-{host}")
        try:
            yield
        except (CheckFailed, CommandFailed) as failure:
            self.note(f"{name}-{host} sees {type(failure).__name__}")
            raise
        self.note(f"leave {name}-{host}")

    def guards(self, task: Task) -> Sequence[AbstractContextManager[None]]:
        return [self.guard(name, task.host) for name in ("outer", "inner")]

    def checks(self, task: Task) -> Sequence[Check]:
        return [Check("well", f"echo check-{task.host} >>{self.log}; {self.check}", deadline=0.4)]

    def run(self, *tasks: Task, phases: Sequence[Phase] = (ROLLING,)) -> None:
        Runner(
            plan=Plan(Playbook(name="some", phases=tuple(phases)), tasks),
            connections={name: LocalConnection(name) for name in "abc"},
            deliver=lambda _connection, _digests: "",
            checks=self.checks,
            guards=self.guards,
            emit=self.events.append,
        ).run()

    @property
    def made(self) -> list[str]:
        return list(dict.fromkeys(self.log.read_text().splitlines())) if self.log.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def serving(world: World, host: str, script: str = "true") -> Task:
    return Task("one", host, (world.change(host, script),), serving=True)


AROUND_A = ["enter outer-a", "enter inner-a", "a", "check-a", "leave inner-a", "leave outer-a"]


def test_guards_are_held_around_the_changes_and_the_checks(world: World) -> None:
    world.run(serving(world, "a"))
    assert world.made == AROUND_A


def test_the_next_host_is_begun_when_the_guards_of_the_one_before_are_left(world: World) -> None:
    world.run(serving(world, "a"), serving(world, "b"))
    assert world.made == [*AROUND_A, *(line.replace("-a", "-b").replace("a", "b", line == "a") for line in AROUND_A)]


@pytest.mark.parametrize(
    "task",
    [
        Task("one", "a", (Change("x", "true", "x", disrupts=True),), serving=False),
        Task("one", "a", (Change("x", "true", "x", disrupts=False),), serving=True),
    ],
)
def test_nobody_is_guarded_who_would_not_feel_it(world: World, task: Task) -> None:
    world.run(task)
    assert world.made == ["check-a"]


def test_a_host_that_is_only_looked_at_is_not_guarded(world: World) -> None:
    world.run(Task("one", "b", (), serving=True), serving(world, "a"))
    assert world.made == ["check-b", *AROUND_A]


def test_a_host_that_does_not_serve_and_has_nothing_to_do_is_not_looked_at(world: World) -> None:
    world.run(Task("one", "b", (), serving=False), serving(world, "a"))
    assert world.made == AROUND_A


def test_work_that_fails_is_seen_by_every_guard_and_stays_held(world: World) -> None:
    with pytest.raises(CommandFailed, match="do a"):
        world.run(serving(world, "a", "false"), serving(world, "b"))
    assert world.made == ["enter outer-a", "enter inner-a", "inner-a sees CommandFailed", "outer-a sees CommandFailed"]


def test_a_check_that_fails_is_seen_too(world: World) -> None:
    world.check = "false"
    with pytest.raises(CheckFailed):
        world.run(serving(world, "a"), serving(world, "b"))
    assert world.made == [*AROUND_A[:4], "inner-a sees CheckFailed", "outer-a sees CheckFailed"]


def test_a_guard_that_cannot_be_entered_leaves_the_host_alone(world: World) -> None:
    world.refuses = {"enter inner-a"}
    with pytest.raises(CheckFailed, match="cannot enter inner-a"):
        world.run(serving(world, "a"), serving(world, "b"))
    assert world.made == ["enter outer-a", "enter inner-a", "outer-a sees CheckFailed"]
    [finished] = [event for event in world.events if isinstance(event, PhaseFinished)]
    assert finished.error == "cannot enter inner-a"


def test_a_guard_that_cannot_be_left_fails_its_host_and_stops_the_rollout(world: World) -> None:
    world.refuses = {"leave inner-a"}
    with pytest.raises(CheckFailed, match="cannot leave inner-a"):
        world.run(serving(world, "a"), serving(world, "b"))
    assert world.made == [*AROUND_A[:5], "outer-a sees CheckFailed"]


def test_hosts_of_a_batch_are_guarded_each_by_its_own(world: World) -> None:
    phase = Phase(phase="one", rolling=True, serial=2)
    with pytest.raises(HostsFailed):
        world.run(*(serving(world, host, "false") for host in "abc"), phases=[phase])
    entered = {line for line in world.made if line.startswith("enter")}
    assert entered == {f"enter {name}-{host}" for name in ("outer", "inner") for host in "ab"}


def test_a_stop_lets_the_guards_be_left(world: World) -> None:
    """An interrupt ends between two hosts, not between two guards."""
    stop = threading.Event()

    @contextmanager
    def stopping() -> Iterator[None]:
        stop.set()
        yield
        world.note("left")

    runner = Runner(
        plan=Plan(Playbook(name="some", phases=(ROLLING,)), (serving(world, "a"), serving(world, "b"))),
        connections={name: LocalConnection(name) for name in "ab"},
        deliver=lambda _connection, _digests: "",
        checks=lambda _task: [],
        guards=lambda _task: [stopping()],
        emit=world.events.append,
        stop=stop,
    )
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    assert world.made == ["a", "left"]


EVERYTHING = re.compile(".*", re.DOTALL)


@pytest.mark.parametrize(
    ("asked", "connected", "answers"),
    [
        ((), "abc", "a"),
        (("b", "c"), "abc", "b"),
        (("a", "c"), "abc", "a"),
        (("b", "c"), "ac", "c"),
        (("b", "c"), "a", "a"),
    ],
)
def test_a_check_may_be_asked_elsewhere(asked: tuple[str, ...], connected: str, answers: str) -> None:
    """Of the first that is connected; it is still about the host itself."""
    hosts = {name: FakeConnection(name) for name in connected}
    for host in hosts.values():
        host.expect(EVERYTHING, "not ready", exit_code=1)
    runner = Runner(
        plan=Plan(Playbook(name="some", phases=(Phase(phase="one", always=True),)), (Task("one", "a", ()),)),
        connections=hosts,
        deliver=lambda _connection, _digests: "",
        checks=lambda _task: [Check("node-ready", "true", deadline=1, asked=asked)],
        emit=lambda _event: None,
    )
    with pytest.raises(CheckFailed) as caught:
        runner.run()
    assert caught.value.host == "a"
    assert [name for name, host in hosts.items() if host.ran] == [answers]


def test_a_host_that_is_lost_while_it_is_asked_is_out(world: World) -> None:
    host = FakeConnection("a")
    host.expect(EVERYTHING, error=Unreachable("the connection was lost", host="a"))
    runner = Runner(
        plan=Plan(Playbook(name="some", phases=(Phase(phase="one"),)), (Task("one", "a", (world.change("a"),)),)),
        connections={"a": host},
        deliver=lambda _connection, _digests: "",
        checks=lambda _task: [],
        emit=lambda _event: None,
    )
    with pytest.raises(Unreachable):
        runner.run()
