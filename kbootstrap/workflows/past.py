"""`history` and `unlock`: what was done to a cluster, and ending the hold of a run that is stuck."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from kbootstrap.engine.journal import HOST_JOURNAL, Entry, parse_entries
from kbootstrap.engine.lock import NOTE, UNLOCK, Owner, parse_note
from kbootstrap.errors import KbootstrapError
from kbootstrap.model.cluster import Cluster
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import reached
from kbootstrap.workflows.parallel import on_all

LINES_READ = 2_000
"""Of each host's journal, the newest: two for each run."""

Outcome = Literal["ok", "failed", "interrupted", "cut short"]

DRILL = "drill run "
"""How the command of a drill begins; its name follows."""

STARTED = "started"
CUT_SHORT: Outcome = "cut short"
"""A run whose end was never noted: it was killed, or it is still under way."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run: when it began (ISO 8601, UTC), whose it was, and how it ended."""

    run: str
    at: str
    who: str
    command: str
    outcome: str
    changes: int
    seconds: float
    error: str

    @property
    def drill(self) -> str:
        """The drill that it was; empty for other runs."""
        return self.command.removeprefix(DRILL) if self.command.startswith(DRILL) else ""


@dataclass(frozen=True, slots=True)
class History:
    """The runs that changed something, newest last, and the hosts whose journals could not be read."""

    runs: tuple[PastRun, ...]
    unread: Mapping[str, KbootstrapError]


def read_history(cluster: Cluster) -> History:
    """The journals of all hosts that can be reached, merged."""
    with reached(cluster) as (connections, failures):
        entries = on_all(connections, lambda _, connection: _journal(connection))
    return History(merge(entry for found in entries.values() for entry in found), failures)


def _journal(connection: Connection) -> list[Entry]:
    return parse_entries(connection.run(f"tail -n {LINES_READ} {HOST_JOURNAL} 2>/dev/null || true").text)


def merge(entries: Iterable[Entry]) -> tuple[PastRun, ...]:
    """One line for each run, whichever hosts know of it. An end counts more than a beginning."""
    began: dict[str, Entry] = {}
    ended: dict[str, Entry] = {}
    for entry in entries:
        (began if entry.outcome == STARTED else ended).setdefault(entry.run, entry)
    runs = [_past_run(began.get(run), ended.get(run)) for run in {**began, **ended}]
    return tuple(sorted(runs, key=lambda run: (run.at, run.run)))


def newest_drills(runs: Iterable[PastRun]) -> tuple[PastRun, ...]:
    """Of runs, oldest first, the newest of each drill."""
    newest = {run.drill: run for run in runs if run.drill}
    return tuple(sorted(newest.values(), key=lambda run: run.at))


def _past_run(began: Entry | None, ended: Entry | None) -> PastRun:
    known = ended or began
    if known is None:
        raise ValueError("a run has a beginning or an end")
    return PastRun(
        run=known.run,
        at=(began or known).at,
        who=known.who,
        command=known.command,
        outcome=CUT_SHORT if ended is None else ended.outcome,
        changes=known.changes,
        seconds=known.seconds,
        error=known.error,
    )


def lock_owners(connections: Mapping[str, Connection]) -> dict[str, Owner]:
    """Who holds the lock on which host, as the notes beside the locks say."""
    notes = on_all(connections, lambda _, connection: connection.run(f"cat {NOTE} 2>/dev/null || true").text)
    return {name: parsed[1] for name, note in notes.items() if (parsed := parse_note(note)) is not None}


def release(connections: Mapping[str, Connection]) -> dict[str, str]:
    """Ends every hold, and says what each host answered: `not locked`, or `released` with the owner's note."""
    return on_all(connections, lambda _, connection: connection.run_script(UNLOCK).require().text)


def age_text(owner: Owner) -> str:
    """How long a lock has been held, for people."""
    seconds = int(owner.age(datetime.now(UTC)).total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
