"""What hosts and targets have between them, and what could be recovered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kbootstrap.facts.backups import BackupsSeen, Copy, LastRun, Record
from kbootstrap.workflows.backups.overview import summarize

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
GOOD = Copy("demo-20261121T060000Z-cp1", "cp1", NOW - timedelta(hours=6), 40, 7, 4096, 100, complete=True)
NEWER = replace(GOOD, id="demo-20261121T110000Z-cp2", host="cp2", made=NOW - timedelta(hours=1), revision=50)
PROOF = Record(True, "2026-11-21T07:00:00Z")


def seen(**places: Copy) -> BackupsSeen:
    return BackupsSeen({place: (copy,) for place, copy in places.items()})


def test_the_newest_good_one_is_the_recovery_point() -> None:
    found = summarize({"cp1": seen(local=GOOD), "cp2": seen(local=NEWER)}, None, [], NOW)
    assert [kept.id for kept in found.backups] == [NEWER.id, GOOD.id]
    assert found.recovery_point is not None
    assert found.recovery_point.id == NEWER.id


def test_a_damaged_one_is_none() -> None:
    damaged = replace(NEWER, verified=Record(False, "2026-11-21T11:30:00Z", "flipped"))
    found = summarize({"cp1": seen(local=GOOD), "cp2": seen(local=damaged)}, None, [], NOW)
    assert found.recovery_point is not None
    assert found.recovery_point.id == GOOD.id
    assert found.backups[0].damaged == {"cp2": "flipped"}


def test_one_good_copy_is_enough() -> None:
    cut = replace(GOOD, bytes=3, complete=False)
    found = summarize({"cp1": seen(local=cut, offsite=replace(GOOD, rehearsed=PROOF))}, "cp1", [], NOW)
    (kept,) = found.backups
    assert kept.good == ("offsite",)
    assert kept.damaged == {"cp1": "its file does not have the right length"}
    assert kept.proven
    assert kept.bytes == 100


def test_of_the_targets_only_the_fresh_view_counts() -> None:
    views = {"cp1": seen(offsite=GOOD), "cp2": seen(offsite=NEWER)}
    assert [kept.id for kept in summarize(views, "cp2", [], NOW).backups] == [NEWER.id]
    assert len(summarize(views, None, [], NOW).backups) == 2


def test_nothing_at_all() -> None:
    failed = LastRun("2026-11-21T06:00:00Z", ok=False, id="", error="no room")
    found = summarize({"cp1": BackupsSeen(last=failed)}, None, [None], NOW)
    assert (found.backups, found.recovery_point, found.revision) == ((), None, None)
    assert found.runs == {"cp1": failed}
