"""What was done to a cluster, when and by whom: JSON lines, on the control machine and on every host."""

import json
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from kbootstrap.errors import CommandFailed, KbootstrapError
from kbootstrap.events import Event, Progress, Sink
from kbootstrap.transport.connection import Connection

HOST_JOURNAL = "/var/log/kbootstrap/journal.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of history: a run that began (`outcome` "started") or ended ("ok", "failed", "interrupted")."""

    run: str
    at: str
    who: str
    command: str
    outcome: str
    changes: int = 0
    seconds: float = 0.0
    error: str = ""


def parse_entries(text: str) -> list[Entry]:
    """The entries of a journal; lines that are damaged (a disk that was full) are passed over."""
    entries = []
    for line in text.splitlines():
        with suppress(ValueError, TypeError):
            entries.append(Entry(**json.loads(line)))
    return entries


def state_folder(cluster: str) -> Path:
    """Where the control machine keeps a cluster's journals. Nothing else is lost with them."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "kbootstrap" / cluster


def record(connections: Mapping[str, Connection], entry: Entry) -> None:
    """Adds an entry to every host's journal. A host that cannot take it does not stop a run."""
    line = json.dumps(asdict(entry))
    folder = HOST_JOURNAL.rpartition("/")[0]
    for connection in connections.values():
        with suppress(KbootstrapError):
            connection.run(f"mkdir -p {folder} && printf '%s\\n' {shlex.quote(line)} >>{HOST_JOURNAL}", timeout=10)


@contextmanager
def recorded(folder: Path, run: str, emit: Sink) -> Iterator[Sink]:
    """A sink that also writes every event but progress to a file of the run's own."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / f"{run}.jsonl").open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise CommandFailed(
            f"the journal cannot be written: {error}", hint=f"make {folder} writable, or set XDG_STATE_HOME"
        ) from error
    began = time.monotonic()

    def sink(event: Event) -> None:
        if not isinstance(event, Progress):
            line = {"event": type(event).__name__, "at": round(time.monotonic() - began, 3), **asdict(event)}
            with suppress(OSError):  # a full disk here is no reason to leave hosts half changed
                file.write(json.dumps(line) + "\n")
        emit(event)

    with file:
        yield sink


def now() -> str:
    """The time for a journal: ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
