"""What `status` says of backups."""

import io
from dataclasses import replace
from datetime import timedelta

from rich.console import Console

from kbootstrap.cli.status import show_status
from kbootstrap.facts.backups import LOCAL, BackupsSeen, Copy, LastRun, Record
from kbootstrap.model.settings import Settings
from kbootstrap.workflows.backups.overview import Overview, summarize
from kbootstrap.workflows.diagnosis import Trouble, troubles
from tests.unit.workflows.test_status import CLUSTER, NOW, status

MADE = NOW - timedelta(hours=3)
GOOD = Copy("demo-20261121T010000Z-cp1", "cp1", MADE, 40, 7, 4096, 100, complete=True)
FAILED = LastRun("2026-11-21T03:00:00Z", ok=False, id="", error="offsite: the credentials are refused")


def overview(*copies: Copy, last: LastRun | None = None, pause: timedelta | None = None) -> Overview:
    return summarize({"cp1": BackupsSeen({LOCAL: copies}, last, pause=pause)}, None, [], NOW)


def shown(backups: Overview | None) -> str:
    console = Console(file=io.StringIO(), width=200)
    show_status(replace(status(), backups=backups), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def wrong(backups: Overview | None, schedule: str | None = None) -> list[Trouble]:
    section = {"recipients": ["age1" + "q" * 58], "schedule": schedule}
    settings = CLUSTER.settings.model_copy(update={"backup": Settings.model_validate({"backup": section}).backup})
    return troubles(replace(status(), backups=backups), settings)


def test_where_none_are_wanted_none_are_missed() -> None:
    assert "none are made" in shown(None)
    assert wrong(None) == []


def test_the_last_good_one() -> None:
    assert "last good 3 h ago: demo-20261121T010000Z-cp1 on cp1 (unproven)" in shown(overview(GOOD))
    proven = replace(GOOD, rehearsed=Record(True, "2026-11-21T02:00:00Z"))
    assert "(proven)" in shown(overview(proven))
    assert wrong(overview(GOOD)) == []


def test_a_run_that_failed_says_why() -> None:
    (trouble,) = wrong(overview(GOOD, last=FAILED))
    assert trouble.where == "cp1"
    assert "offsite: the credentials are refused" in trouble.what
    assert "the last one failed" in shown(overview(GOOD, last=FAILED))


def test_a_damaged_copy() -> None:
    damaged = replace(GOOD, verified=Record(False, "2026-11-21T03:30:00Z", "its digest is another"))
    (trouble,) = wrong(overview(damaged))
    assert "its digest is another" in trouble.what
    assert "no good one is known" in shown(overview(damaged))


def test_scheduled_and_never_made() -> None:
    assert [trouble.what for trouble in wrong(overview(), "hourly")] == ["there is none yet"]
    assert wrong(overview()) == []


def test_one_that_is_overdue() -> None:
    in_time, late = (overview(GOOD, pause=timedelta(hours=hours)) for hours in (2.5, 1.5))
    assert wrong(in_time, "hourly") == []
    assert "overdue" not in shown(in_time)
    (trouble,) = wrong(late, "hourly")
    assert trouble.what == "overdue: the last good one is 3:00:00 old, and one is due every 1:30:00"
    assert "(unproven), overdue" in shown(late)
