"""History from several hosts' journals, and locks."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.engine.journal import Entry
from kbootstrap.engine.lock import NOTE, UNLOCK
from kbootstrap.workflows.past import lock_owners, merge, release
from tests.fakes import FakeConnection

BEGAN = Entry("r1", "2026-11-21T03:46:41+00:00", "root@vm", "up", "started", 650)
ENDED = replace(BEGAN, at="2026-11-21T03:47:20+00:00", outcome="ok", seconds=39.0)
LATER = replace(BEGAN, run="r2", at="2026-11-21T05:00:00+00:00")


def test_every_run_is_told_once_with_its_beginning_and_its_end() -> None:
    [run] = merge([BEGAN, ENDED, BEGAN, ENDED])
    assert (run.at, run.outcome, run.seconds) == (BEGAN.at, "ok", 39.0)


def test_a_run_without_an_end_was_cut_short() -> None:
    assert [(run.run, run.outcome) for run in merge([LATER, BEGAN, ENDED])] == [("r1", "ok"), ("r2", "cut short")]


def test_an_end_alone_is_a_run() -> None:
    [run] = merge([ENDED])
    assert (run.at, run.outcome) == (ENDED.at, "ok")


@given(st.lists(st.sampled_from([BEGAN, ENDED, LATER, replace(LATER, outcome="failed")])))
def test_the_order_in_which_hosts_are_read_does_not_matter(entries: list[Entry]) -> None:
    assert merge(entries) == merge(reversed(entries))
    assert len(merge(entries)) == len({entry.run for entry in entries})


def test_who_holds_which_lock() -> None:
    held, free = FakeConnection("cp1"), FakeConnection("cp2")
    note = '548 {"who": "root@vm", "run": "r1", "command": "up", "since": "2026-11-21T03:46:37+00:00"}'
    held.expect(f"cat {NOTE} 2>/dev/null || true", note)
    free.expect(f"cat {NOTE} 2>/dev/null || true", "")
    assert {name: owner.run for name, owner in lock_owners({"cp1": held, "cp2": free}).items()} == {"cp1": "r1"}


def test_every_host_is_unlocked() -> None:
    hosts = {name: FakeConnection(name) for name in ("cp1", "cp2")}
    for name, host in hosts.items():
        host.expect(UNLOCK, "released: {}" if name == "cp1" else "not locked")
    assert release(hosts) == {"cp1": "released: {}", "cp2": "not locked"}
