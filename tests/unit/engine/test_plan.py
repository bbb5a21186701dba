"""Plans: pure, ordered, and aware of what earlier changes of the same plan touch."""

from pathlib import PurePosixPath

import pytest
from pydantic import ValidationError

from kbootstrap.engine.order import Job, dependencies
from kbootstrap.engine.plan import Plan, Task, host_steps, make_plan, needs
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.paths import ABSENT, PathStat, PathState
from kbootstrap.facts.units import NO_UNIT, UnitState, UnitStatus
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Change
from kbootstrap.steps.unit import Unit

CONFIG = PurePosixPath("/etc/thing.conf")
FILE = File(CONFIG, b"wanted\n")
UNIT = Unit("thing.service", (CONFIG,))
RUNNING = UnitStatus(True, "active", "running", "enabled", False, "stamp", "stamp")
PRESENT = PathStat("file", 0o644, "root", "root", b"wanted\n")


def playbook(*phases: Phase) -> Playbook:
    return Playbook(name="some", phases=phases)


def facts(file: PathStat, unit: UnitStatus) -> Facts:
    return Facts({PathState(CONFIG): file, UnitState("thing.service", (CONFIG,)): unit})


ONE_PHASE = playbook(Phase(phase="thing", rolling=True))
STEPS = host_steps(ONE_PHASE, lambda _phase: [FILE, UNIT])


def test_a_host_as_it_should_be_needs_no_change() -> None:
    plan = make_plan(ONE_PHASE, {"a": STEPS}, {"a": facts(PRESENT, RUNNING)})
    assert plan.changes == 0
    assert plan.tasks == (Task("thing", "a", (), serving=True),)


def test_a_changed_input_restarts_its_unit_in_the_same_plan() -> None:
    plan = make_plan(ONE_PHASE, {"a": STEPS}, {"a": facts(ABSENT, RUNNING)})
    assert [change.title for change in plan.tasks[0].changes] == ["write /etc/thing.conf", "restart thing.service"]


def test_a_unit_that_was_started_with_other_files_restarts_although_no_file_changes() -> None:
    stale = UnitStatus(True, "active", "running", "enabled", False, "old", "new")
    plan = make_plan(ONE_PHASE, {"a": STEPS}, {"a": facts(PRESENT, stale)})
    assert [change.title for change in plan.tasks[0].changes] == ["restart thing.service"]


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (NO_UNIT, "start thing.service"),
        (UnitStatus(True, "failed", "failed", "enabled", False, "stamp", "stamp"), "start thing.service"),
        (UnitStatus(True, "activating", "auto-restart", "enabled", False, "s", "s"), "start thing.service"),
        (UnitStatus(True, "active", "running", "disabled", False, "stamp", "stamp"), "enable thing.service"),
    ],
)
def test_a_unit_that_does_not_run_or_would_not_after_a_boot(status: UnitStatus, title: str) -> None:
    plan = make_plan(ONE_PHASE, {"a": STEPS}, {"a": facts(PRESENT, status)})
    assert [change.title for change in plan.tasks[0].changes] == [title]


def test_everything_that_is_needed_is_asked_for() -> None:
    assert needs(STEPS) == [PathState(CONFIG), UnitState("thing.service", (CONFIG,))]


def test_equal_plans_have_equal_fingerprints_and_others_do_not() -> None:
    missing = {"a": facts(ABSENT, RUNNING)}
    one, same = (make_plan(ONE_PHASE, {"a": STEPS}, missing) for _ in range(2))
    other_steps = host_steps(ONE_PHASE, lambda _phase: [File(CONFIG, b"other\n"), UNIT])
    other = make_plan(ONE_PHASE, {"a": other_steps}, missing)
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_a_phase_waits_for_all_above_unless_it_says_otherwise() -> None:
    book = playbook(
        Phase(phase="one"),
        Phase(phase="two", after=("one",)),
        Phase(phase="three", after_all=("one",)),
        Phase(phase="four"),
    )
    tasks = tuple(Task(phase.phase, host, ()) for phase in book.phases for host in ("a", "b"))
    waits = dependencies(Plan(book, tasks))
    assert waits[Job("one", "a")] == set()
    assert waits[Job("two", "a")] == {Job("one", "a")}
    assert waits[Job("three", "a")] == {Job("one", "a"), Job("one", "b")}
    assert waits[Job("four", "b")] == {Job(phase, host) for phase in ("one", "two", "three") for host in ("a", "b")}


CHANGE = Change("some change", "true", "fingerprint")


def waits_of_etcd(*tasks: Task) -> dict[Job, set[Job]]:
    return dependencies(Plan(playbook(Phase(phase="etcd", rolling=True, after=())), tasks))


def test_a_rolling_phase_begins_everywhere_at_once_where_nothing_serves() -> None:
    waits = waits_of_etcd(*(Task("etcd", host, (CHANGE,)) for host in "abc"))
    assert all(not needed for needed in waits.values())


def test_a_rolling_phase_changes_hosts_that_serve_one_by_one() -> None:
    a, b, c = (Job("etcd", host) for host in "abc")
    waits = waits_of_etcd(*(Task("etcd", host, (CHANGE,), serving=True) for host in "abc"))
    assert waits == {a: set(), b: {a}, c: {b}}


def test_what_is_down_comes_up_and_what_is_done_is_looked_at_before_the_next_is_touched() -> None:
    a, b, c = (Job("etcd", host) for host in "abc")
    waits = waits_of_etcd(
        Task("etcd", "a", (CHANGE,), serving=True), Task("etcd", "b", (), serving=True), Task("etcd", "c", (CHANGE,))
    )
    assert waits == {c: set(), b: {c}, a: {b}}


@pytest.mark.parametrize(
    ("serial", "sizes"), [(1, [1] * 10), (4, [4, 4, 2]), ("20%", [2] * 5), ("5%", [1] * 10), ("100%", [10])]
)
def test_batches(serial: int | str, sizes: list[int]) -> None:
    book = playbook(Phase(phase="workers", serial=serial, after=()))
    tasks = tuple(Task("workers", f"w{number}", ()) for number in range(10))
    groups: dict[frozenset[Job], int] = {}
    for needed in dependencies(Plan(book, tasks)).values():
        groups[frozenset(needed)] = groups.get(frozenset(needed), 0) + 1
    assert list(groups.values()) == sizes


@pytest.mark.parametrize(
    "phases",
    [
        [{"phase": "one"}, {"phase": "one"}],
        [{"phase": "one", "after": ["two"]}, {"phase": "two"}],
        [{"phase": "one", "after": ["one"]}],
        [{"phase": "One"}],
        [{"phase": "one", "serial": 0}],
        [{"phase": "one", "serial": "0%"}],
        [{"phase": "one", "unknown": 1}],
    ],
)
def test_a_wrong_playbook_is_refused(phases: list[dict[str, object]]) -> None:
    with pytest.raises(ValidationError):
        Playbook.model_validate({"name": "some", "phases": phases})


def test_what_is_felt_goes_phase_by_phase() -> None:
    """Also where the phases do not wait for each other: never are two hosts stopped for two things."""
    book = playbook(Phase(phase="first", rolling=True, after=()), Phase(phase="second", rolling=True, after=("first",)))
    restart = Change("restart", "true", "x", disrupts=True)
    tasks = tuple(Task(phase, host, (restart,), serving=True) for phase in ("first", "second") for host in "ab")
    waits = dependencies(Plan(book, tasks))
    assert waits[Job("second", "a")] == {Job("first", "a"), Job("first", "b")}
    idle = tuple(Task(phase, host, (restart,)) for phase in ("first", "second") for host in "ab")
    assert dependencies(Plan(book, idle))[Job("second", "a")] == {Job("first", "a")}
