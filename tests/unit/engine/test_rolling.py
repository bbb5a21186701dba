"""Which hosts of a phase go together, who goes last, and what goes ahead only when something follows."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.engine.order import Job, dependencies
from kbootstrap.engine.plan import Plan, Task, make_plan, reordered
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.engine.strategy import batches, size_of
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.guard import Guard
from kbootstrap.steps.command import Command
from kbootstrap.steps.step import Change

CHANGE = Change("some change", "true", "fingerprint")


def task(host: str, kind: str, phase: str = "workers") -> Task:
    """`kind`: idle (does not serve), settled (serves, and stays as it is) or changing."""
    return Task(phase, host, () if kind == "settled" else (CHANGE,), serving=kind != "idle")


def names(groups: Sequence[Sequence[Task]]) -> list[list[str]]:
    return [[task.host for task in group] for group in groups]


MIXED = [task("a", "changing"), task("b", "idle"), task("c", "settled"), task("d", "changing"), task("e", "changing")]


@pytest.mark.parametrize(
    ("serial", "groups"),
    [
        (None, [["b"], ["c"], ["a"], ["d"], ["e"]]),
        (1, [["b"], ["c"], ["a"], ["d"], ["e"]]),
        (2, [["b"], ["c"], ["a", "d"], ["e"]]),
        (9, [["b"], ["c"], ["a", "d", "e"]]),
        ("40%", [["b"], ["c"], ["a", "d"], ["e"]]),
        ("39%", [["b"], ["c"], ["a"], ["d"], ["e"]]),
        ("100%", [["b"], ["c"], ["a", "d", "e"]]),
    ],
)
def test_a_rolling_phase(serial: int | str | None, groups: list[list[str]]) -> None:
    """What is down comes up, what is done is looked at, and then the others, so many at a time."""
    assert names(batches(Phase(phase="workers", rolling=True, serial=serial), MIXED)) == groups


def test_without_rolling_it_is_all_at_once_or_as_many_as_said() -> None:
    assert names(batches(Phase(phase="workers"), MIXED)) == [["a", "b", "c", "d", "e"]]
    assert names(batches(Phase(phase="workers", serial=2), MIXED)) == [["a", "b"], ["c", "d"], ["e"]]


def test_a_percentage_is_of_all_hosts_of_the_phase() -> None:
    """Also of those that are done already: the second run goes as fast as the first."""
    half = [task(host, "settled") for host in "abcd"] + [task(host, "changing") for host in "efgh"]
    phase = Phase(phase="workers", rolling=True, serial="50%")
    assert names(batches(phase, half)) == [["a", "b", "c", "d"], ["e", "f", "g", "h"]]


kinds = st.lists(st.sampled_from(["idle", "settled", "changing"]), max_size=12)
serials = st.one_of(st.none(), st.integers(1, 5), st.sampled_from(["1%", "20%", "50%", "100%"]))


@given(kinds, serials, st.booleans())
def test_every_host_goes_once_and_never_too_many_that_serve(
    wanted: list[str], serial: int | str | None, rolling: bool
) -> None:
    tasks = [task(f"h{number}", kind) for number, kind in enumerate(wanted)]
    groups = batches(Phase(phase="workers", rolling=rolling, serial=serial), tasks)
    assert sorted(host for group in names(groups) for host in group) == sorted(task.host for task in tasks)
    assert all(groups)
    if rolling:
        assert all(
            sum(each.serving and bool(each.changes) for each in group) <= size_of(serial or 1, len(tasks))
            for group in groups
        )


@given(kinds)
def test_each_batch_waits_for_the_one_before(wanted: list[str]) -> None:
    tasks = tuple(task(f"h{number}", kind) for number, kind in enumerate(wanted))
    phase = Phase(phase="workers", rolling=True)
    waits = dependencies(Plan(Playbook(name="some", phases=(phase,)), tasks))
    before: set[Job] = set()
    for group in batches(phase, tasks):
        assert all(waits[Job("workers", each.host)] == before for each in group)
        before = {Job("workers", each.host) for each in group}


def test_who_leads_goes_last_in_its_phase_only() -> None:
    phases = (Phase(phase="etcd", rolling=True), Phase(phase="workers", rolling=True))
    tasks = tuple(task(host, "changing", phase.phase) for phase in phases for host in "abc")
    plan = reordered(Plan(Playbook(name="some", phases=phases), tasks), {"etcd": ["a"]})
    assert [(each.phase, each.host) for each in plan.tasks] == [
        *(("etcd", host) for host in "bca"),
        *(("workers", host) for host in "abc"),
    ]
    assert plan.hosts(phases[0]) == ("b", "c", "a")


def test_the_leader_goes_after_everybody_who_serves_not_after_who_does_not() -> None:
    phase = Phase(phase="etcd", rolling=True)
    tasks = (task("a", "changing", "etcd"), task("b", "idle", "etcd"), task("c", "changing", "etcd"))
    plan = reordered(Plan(Playbook(name="some", phases=(phase,)), tasks), {"etcd": ["a"]})
    assert names(batches(phase, plan.tasks)) == [["b"], ["c"], ["a"]]


@given(st.permutations(list("abcde")), st.sets(st.sampled_from(list("abcde"))))
def test_the_order_of_the_others_stays(hosts: list[str], last: set[str]) -> None:
    tasks = tuple(task(host, "changing", "etcd") for host in hosts)
    plan = reordered(Plan(Playbook(name="some", phases=(Phase(phase="etcd"),)), tasks), {"etcd": last})
    found = [each.host for each in plan.tasks]
    assert found == [*(host for host in hosts if host not in last), *(host for host in hosts if host in last)]


@pytest.mark.parametrize(
    ("serving", "disrupting", "felt"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_who_feels_a_task(serving: bool, disrupting: bool, felt: bool) -> None:
    changes = (CHANGE, Change("restart", "true", "fingerprint", disrupts=disrupting))
    assert Task("workers", "a", changes, serving=serving).disrupts == felt


AHEAD = Playbook(
    name="some",
    phases=(
        Phase(phase="one"),
        Phase(phase="backup", ahead=True),
        Phase(phase="count", ahead=True),
        Phase(phase="work"),
    ),
)


def plan_of(*due: str) -> dict[str, int]:
    """The changes of each phase when these are due; everything runs on one host."""
    steps = {phase.phase: [Command(phase.phase, "true", unless=phase.phase)] for phase in AHEAD.phases}
    seen = Facts({Guard(name): name not in due for name in steps})
    plan = make_plan(AHEAD, {"a": steps}, {"a": seen})
    return {task.phase: len(task.changes) for task in plan.tasks}


@pytest.mark.parametrize("due", [(), ("backup",), ("backup", "count")])
def test_what_goes_ahead_is_not_due_by_itself(due: Sequence[str]) -> None:
    assert plan_of(*due) == {"one": 0, "backup": 0, "count": 0, "work": 0}


@pytest.mark.parametrize("more", ["one", "work"])
def test_what_goes_ahead_is_due_when_anything_else_is(more: str) -> None:
    assert plan_of("backup", more) == {"one": 0, "backup": 1, "count": 0, "work": 0, more: 1}


def test_it_is_due_when_another_host_has_changes() -> None:
    steps = {phase.phase: [Command(phase.phase, "true", unless=phase.phase)] for phase in AHEAD.phases}
    done: dict[Fact[Any], object] = {Guard(name): True for name in steps}
    facts = {"a": Facts({**done, Guard("backup"): False}), "b": Facts({**done, Guard("work"): False})}
    plan = make_plan(AHEAD, {"a": steps, "b": steps}, facts)
    assert [(task.phase, task.host) for task in plan.tasks if task.changes] == [("backup", "a"), ("work", "b")]
