"""What `status` says of drills."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from rich.console import Console

from kbootstrap.cli.status import show_status
from kbootstrap.drills.result import DrillResult
from kbootstrap.engine.lock import Owner
from kbootstrap.facts.drills import Mark
from kbootstrap.workflows.past import PastRun
from kbootstrap.workflows.status import Status, condition
from tests.unit.drills.reports.made import BEGAN, refused, result
from tests.unit.workflows.hosts import cluster

MARK = Mark("r7", "vip-power-off", "ada@ops", "2026-11-21T10:00:00+00:00")


def status(*marked: str, mark: Mark = MARK) -> Status:
    nothing = condition(cluster(), {}, {}, BEGAN + timedelta(hours=3))
    return replace(nothing, drills=dict.fromkeys(marked, mark))


def shown(found: Status, drilled: Sequence[DrillResult] = ()) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    show_status(found, console, drilled)
    return console.export_text()


def test_a_drill_that_was_cut_short() -> None:
    assert "✗ cp1        vip-power-off by ada@ops was cut short: what it did is not undone yet" in shown(status("cp1"))
    healed = replace(MARK, undone="2026-11-21T10:01:00Z")
    assert "was cut short: the host has undone it at 2026-11-21T10:01:00Z" in shown(status("cp1", mark=healed))


def test_a_drill_that_goes_on() -> None:
    owner = Owner("ada@ops", "r7", "drill run vip-power-off", "2026-11-21T10:00:00+00:00")
    going_on = replace(status("cp1"), lock=owner)
    assert "under way: vip-power-off hurts cp1" in shown(going_on)
    assert "cut short" in shown(replace(going_on, lock=replace(owner, run="another")))


def test_the_newest_drills_of_this_machine() -> None:
    assert "none are known" in shown(status())
    assert "✓ 1 of 1 passed, 3 h ago: run 20261121-100000-abcd" in shown(status(), [result()])
    said = shown(status(), [result(), refused(), result("handover", reads=3.4)])
    assert "✗ 1 of 3 passed, 3 h ago" in said
    assert "✗ etcd-leader-kill refused: the cluster is degraded: cp3: etcd.service is stopped" in said
    assert "✗ handover failed: reads: 3.40 s; 3 s are allowed" in said


def test_drills_that_another_machine_has_run_since() -> None:
    lost = PastRun(
        "r9", "2026-11-21T12:00:00+00:00", "timer@ops1", "drill run partition", "failed", 1, 40.0, "reads: 4 s"
    )
    passed = replace(lost, run="r8", command="drill run nginx-stop", outcome="ok", error="")
    found = replace(status(), drilled=(passed, lost))
    told = ["✓ nginx-stop passed, 60 min ago by timer@ops1", "✗ partition failed, 60 min ago by timer@ops1: reads: 4 s"]
    assert all(line in shown(found) for line in told)
    assert "none are known" not in shown(found)
    ours = replace(lost, run=result().run)
    assert "timer@ops1" not in shown(replace(found, drilled=(ours,)), [result()])
    old = replace(lost, at="2026-11-21T09:00:00+00:00")
    assert "timer@ops1" not in shown(replace(found, drilled=(old,)), [result()])
    assert "timer@ops1" not in shown(replace(found, drilled=(replace(lost, outcome="cut short"),)))
