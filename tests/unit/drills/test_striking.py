"""Whatever happens, what was done is undone."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kbootstrap.drills import life, striking
from kbootstrap.drills.arm import HEAL
from kbootstrap.drills.drill import Await, Fault
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.power import Power
from kbootstrap.drills.result import Kind
from kbootstrap.drills.steady import Steadiness
from kbootstrap.drills.story import Story
from kbootstrap.drills.striking import strike_and_heal
from kbootstrap.errors import CommandFailed, Unreachable
from tests.unit.drills.stage import HEAL as HEALING
from tests.unit.drills.stage import Stage, drill, status

STRIKE = "systemctl kill --signal=KILL x.service"
UNDO = "systemctl start x.service"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that is steady at once; nobody waits."""
    monkeypatch.setattr(striking, "look", lambda *_: Steadiness(status(), ()))
    monkeypatch.setattr(striking, "wait_until_calm", lambda *_: [])
    monkeypatch.setattr(striking, "AWAIT_PAUSE", 0.0)
    monkeypatch.setattr(life, "SILENT_SECONDS", 0.2)


def fault(**said: object) -> Fault:
    return Fault("kill x on cp2", ("cp2",), {"cp2": STRIKE}, {"cp2": UNDO}, **{"seconds": 0.0, **said})  # type: ignore[arg-type]


def struck(stage: Stage, one: Fault, *awaits: Await) -> Story:
    story = stage.story(drill(lambda _ground: one))
    strike_and_heal(stage.ground, story, one, awaits)
    return story


def good() -> Stage:
    stage = Stage()
    stage.arms("cp2")
    stage.hosts["cp2"].expect(f"set -eu\n{STRIKE}\n")
    return stage


def kinds(stage: Stage) -> list[Kind]:
    return [moment.kind for moment in stage.chronicle.moments()]


def test_armed_struck_healed() -> None:
    stage = good()
    story = struck(stage, fault())
    assert stage.did("cp2") == ["armed", STRIKE, "healed"]
    assert kinds(stage) == [Kind.ARMED, Kind.FAULT, Kind.RECOVER, Kind.STEADY_AGAIN]
    assert (story.problems, story.cut) == ([], False)
    assert [host for host in stage.hosts if host != "cp2" and stage.hosts[host].ran] == []


def test_nothing_is_done_to_a_host_that_cannot_be_armed() -> None:
    stage = Stage()
    stage.hosts["cp2"].expect(HEALING)
    stage.hosts["cp2"].expect(re.compile("(?s)set -eu.*systemd-run.*"), exit_code=1, stderr="no systemd")
    story = struck(stage, fault())
    assert STRIKE not in stage.did("cp2")
    assert stage.did("cp2")[-1] == "healed"
    assert "cannot be armed" in story.problems[0]
    assert Kind.FAULT not in kinds(stage)


def test_a_fault_that_cannot_be_made_is_undone() -> None:
    stage = Stage()
    stage.arms("cp2")
    stage.hosts["cp2"].expect(f"set -eu\n{STRIKE}\n", exit_code=5, stderr="Unit x.service not loaded.")
    story = struck(stage, fault())
    assert stage.did("cp2") == ["armed", STRIKE, "healed"]
    assert "Unit x.service not loaded." in story.problems[0]


def test_an_interrupt_undoes_it_and_is_told() -> None:
    stage = good()

    def interrupted(_ground: Ground) -> str | None:
        raise KeyboardInterrupt

    story = struck(stage, fault(), Await("x", 1.0, interrupted))
    assert stage.did("cp2") == ["armed", STRIKE, "healed"]
    assert story.cut
    assert story.problems == ["it was stopped in the middle, and what it did was undone"]
    assert kinds(stage)[-1] is Kind.STEADY_AGAIN


def test_an_interrupt_while_it_is_undone_waits_for_the_end_and_ends_the_run() -> None:
    stage = good()

    def recover(_ground: Ground) -> None:
        signal.raise_signal(signal.SIGINT)

    story = struck(stage, fault(recover=recover))
    assert stage.did("cp2") == ["armed", STRIKE, "healed"]
    assert story.cut
    assert kinds(stage)[-2:] == [Kind.STEADY_AGAIN, Kind.NOTE]


def test_what_nobody_foresaw_while_it_is_watched_is_a_problem_and_it_is_undone() -> None:
    stage = good()

    def lost(_ground: Ground) -> str | None:
        raise Unreachable("the connection was lost", host="cp3")

    story = struck(stage, fault(), Await("x", 1.0, lost))
    assert stage.did("cp2")[-1] == "healed"
    assert story.problems == ["cp3: the connection was lost"]


def test_a_fault_of_our_own_does_not_keep_the_cluster_from_being_healed() -> None:
    stage = good()

    def broken(_ground: Ground) -> str | None:
        raise KeyError("items")

    story = struck(stage, fault(), Await("x", 1.0, broken))
    assert stage.did("cp2")[-1] == "healed"
    assert story.problems == ["a fault of kbootstrap's own: KeyError: 'items'"]
    assert kinds(stage)[-1] is Kind.STEADY_AGAIN


def test_hosts_that_cannot_be_looked_at_afterwards_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> Steadiness:
        raise Unreachable("the connection was lost", host="cp3")

    monkeypatch.setattr(striking, "look", lost)
    stage = good()
    story = stage.story(drill(lambda _ground: fault(), healing=0.0))
    strike_and_heal(stage.ground, story, fault(), ())
    assert story.problems == ["cp3: the connection was lost"]


def test_an_undo_that_acted_too_early_is_a_problem() -> None:
    stage = Stage()
    stage.hosts["cp2"].expect(HEAL, "undone-by-itself\n")
    stage.arms("cp2")
    stage.hosts["cp2"].expect(f"set -eu\n{STRIKE}\n")
    story = struck(stage, fault())
    assert story.problems == ["the undo on cp2 acted by itself before the drill was over"]


def test_what_only_the_control_machine_can_do_comes_first_and_does_not_keep_the_undo_from_running() -> None:
    stage = good()
    done: list[str] = []

    def recover(_ground: Ground) -> None:
        done.extend(stage.did("cp2"))
        raise CommandFailed("the backup cannot be read")

    story = struck(stage, fault(recover=recover))
    assert done == ["armed", STRIKE]
    assert stage.did("cp2")[-1] == "healed"
    assert story.problems == ["the backup cannot be read"]


def test_a_host_that_cannot_be_healed_is_named() -> None:
    stage = Stage()
    stage.hosts["cp2"].expect(HEAL, exit_code=1, stderr="the other members do not answer")
    stage.arms("cp2")
    stage.hosts["cp2"].expect(f"set -eu\n{STRIKE}\n")
    story = struck(stage, fault())
    assert story.problems == [
        "cp2: what the drill did could not be undone\nthe other members do not answer",
    ]


def test_a_cluster_that_does_not_become_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(striking, "look", lambda *_: Steadiness(status(), ("cp2: the node is not Ready",)))
    stage = good()
    story = stage.story(drill(lambda _ground: fault(), healing=0.0))
    strike_and_heal(stage.ground, story, fault(), ())
    assert story.problems == ["not steady again within 0 s", "cp2: the node is not Ready"]
    assert Kind.STEADY_AGAIN not in kinds(stage)


def test_what_is_awaited_is_noted_when_it_comes_and_given_up_when_it_does_not() -> None:
    stage = good()
    looks = iter([None, "it leads on cp3"])
    story = struck(
        stage,
        fault(),
        Await("another leads", 60.0, lambda _: next(looks), Kind.LEADER),
        Await("never", 0.0, lambda _: None),
    )
    assert set(story.reached) == {"another leads"}
    texts = [moment.text for moment in stage.chronicle.moments()]
    assert "it leads on cp3" in texts
    assert any(text.endswith(": never") for text in texts)


def test_before_is_done_when_it_is_armed() -> None:
    stage = good()
    seen: list[list[str]] = []
    struck(stage, fault(before=lambda _ground: seen.append(stage.did("cp2"))))
    assert seen == [["armed"]]
    assert stage.did("cp2") == ["armed", "armed", STRIKE, "healed"]


def test_the_time_of_what_comes_before_does_not_count_for_the_undo() -> None:
    stage = good()
    struck(stage, fault(before=lambda _ground: None, before_seconds=50.0))
    armed = [re.search(r"--on-active=(\d+)s", command) for command in stage.hosts["cp2"].commands[:2]]
    assert [found and found.group(1) for found in armed] == ["80", "30"]


def test_what_takes_longer_before_than_the_undo_waits_is_given_up() -> None:
    stage = good()
    story = struck(stage, fault(before=lambda _ground: None, before_seconds=0.0))
    assert stage.did("cp2") == ["armed", "healed"]
    assert "what comes before the fault took" in story.problems[0]


def test_what_fails_before_the_fault_keeps_it_from_being_made() -> None:
    stage = good()

    def fails(_ground: Ground) -> None:
        raise CommandFailed("no other apiserver is ready")

    story = struck(stage, fault(before=fails))
    assert stage.did("cp2") == ["armed", "healed"]
    assert story.problems == ["no other apiserver is ready"]


class Switch(Power):
    """Notes what is switched."""

    def __init__(self) -> None:
        super().__init__({}, {})
        object.__setattr__(self, "log", [])

    log: list[str]

    def cut(self, hosts: object) -> None:
        self.log.append(f"off {hosts}")

    def give(self, hosts: object) -> None:
        self.log.append(f"on {hosts}")

    @contextmanager
    def watched(self, hosts: object, seconds: float, log: object) -> Iterator[None]:
        self.log.append("watched")
        yield
        self.log.append("unwatched")


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Switch:
    return Switch()


def power_cut(stage: Stage, look: Callable[[Ground], str | None] = lambda _: "") -> Story:
    stage.hosts["w1"].expect(life.SCRIPT, "alive\nalive\n")
    one = Fault("power off w1", ("w1",), seconds=0.0, cuts_power=True)
    story = stage.story(drill(lambda _ground: one))
    strike_and_heal(stage.ground, story, one, (Await("x", 1.0, look),))
    return story


def test_power_is_given_back_and_the_host_is_locked_again(switch: Switch) -> None:
    stage = Stage(power=switch)
    stage.hosts["w1"].expect(re.compile("(?s)umask 022.*flock.*"), "held\n")
    dark: list[frozenset[str]] = []

    def look(ground: Ground) -> str:
        dark.append(ground.dark)
        return ""

    story = power_cut(stage, look)
    assert switch.log == ["watched", "off ('w1',)", "on ('w1',)", "unwatched"]
    assert (dark, stage.ground.dark) == ([frozenset({"w1"})], frozenset())
    assert stage.hosts["w1"].reconnections == 1
    assert len(stage.hosts["w1"].held) == 1
    assert story.problems == []


def test_the_fault_is_when_the_power_was_gone_and_not_when_its_command_ended(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(power=switch)
    stage.hosts["w1"].expect(re.compile("(?s)umask 022.*flock.*"), "held\n")
    ended: list[float] = []

    def slow(_hosts: object) -> None:
        time.sleep(0.3)
        ended.append(time.monotonic())

    object.__setattr__(switch, "cut", slow)
    power_cut(stage)
    fault = stage.chronicle.first(Kind.FAULT)
    assert fault is not None
    assert fault < ended[0] - 0.2


def test_power_is_given_back_after_an_interrupt(switch: Switch) -> None:
    stage = Stage(power=switch)
    stage.hosts["w1"].expect(re.compile("(?s)umask 022.*flock.*"), "held\n")

    def interrupted(_ground: Ground) -> str | None:
        raise KeyboardInterrupt

    assert power_cut(stage, interrupted).cut
    assert switch.log == ["watched", "off ('w1',)", "on ('w1',)", "unwatched"]
