"""The program of etcd hosts (components/backup.py), asked over SSH."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kbootstrap.components.backup import BUSY, LIMITS, PROGRAM
from kbootstrap.errors import CommandFailed, Locked
from kbootstrap.events import PhaseFinished, PhaseStarted, Sink
from kbootstrap.steps.step import quote
from kbootstrap.transport.connection import Connection, Result

RUN_SECONDS = 3 * 3600.0
"""For one backup, or reading all again: as the unit has it."""
LOOK_SECONDS = 180.0

_SCOPE = ("systemd-run", "--quiet", "--scope", *(f"--property={name}={value}" for name, value in LIMITS.items()))
_PACED = (*_SCOPE, "sh", "-c", 'exec "$0" "$@"')
"""As slowly as the unit does it. Through a shell: systemd-run has no exit code of its own for a program that is not
there."""
_NOT_THERE = 127
_OWN = "etcd-backup: "


def make(connection: Connection, emit: Sink) -> str:
    """One backup, copied and pruned; its ID. Raises CommandFailed with what is wrong, Locked while another is made."""
    parts = _Parts(connection.name, emit)
    try:
        result = _asked(connection, ("run",), RUN_SECONDS, parts.on_line, paced=True)
        return _required(result, "the backup failed").text.splitlines()[-1]
    finally:
        parts.end()


@dataclass(slots=True)
class _Parts:
    """The parts of a run as phases: each ends when the next begins."""

    host: str
    emit: Sink
    _running: tuple[str, float] | None = None

    def on_line(self, line: str) -> None:
        """What the program says: `begin PART`."""
        word, _, part = line.partition(" ")
        if word == "begin":
            self.end()
            self._running = part, time.monotonic()
            self.emit(PhaseStarted(part, self.host))

    def end(self) -> None:
        """Of the part that runs, if one does."""
        if self._running is not None:
            part, began = self._running
            self.emit(PhaseFinished(part, self.host, time.monotonic() - began))
            self._running = None


def refresh(connection: Connection) -> None:
    """Has the host look at all targets. Raises CommandFailed."""
    _required(_asked(connection, ("refresh",), LOOK_SECONDS), "the targets cannot be looked at")


def verify(connection: Connection, place: str, backup: str | None) -> Result:
    """Reads copies again; exit code 1 when one is not good."""
    return _asked(connection, ("verify", place, *((backup,) if backup else ())), RUN_SECONDS, paced=True)


def prune(connection: Connection, place: str, *, only_plan: bool) -> list[str]:
    """What was, or would be, deleted: each as `PLACE ID`. Raises CommandFailed."""
    result = _asked(connection, ("prune", place, *(("plan",) if only_plan else ())), LOOK_SECONDS)
    return _required(result, f"{place} could not be pruned").text.splitlines()


def _asked(
    connection: Connection,
    arguments: Sequence[str],
    timeout: float,
    on_line: Callable[[str], None] | None = None,
    *,
    paced: bool = False,
) -> Result:
    command = " ".join(quote(word) for word in (*(_PACED if paced else ()), PROGRAM, *arguments))
    result = connection.run(command, timeout=timeout, on_line=on_line)
    if result.exit_code == BUSY:
        raise Locked(result.errors.removeprefix(_OWN), host=result.host, hint="wait until it has ended")
    if result.exit_code == _NOT_THERE:
        raise CommandFailed("the host has no program for backups yet", host=result.host, hint="kbootstrap up")
    return result


def last_words(result: Result) -> str:
    """What the program itself said last."""
    own = [line.removeprefix(_OWN) for line in result.errors.splitlines() if line.startswith(_OWN)]
    return own[-1] if own else result.errors.rpartition("\n")[2]


def _required(result: Result, what: str) -> Result:
    """A failure in the program's own last words."""
    if result.ok:
        return result
    raise CommandFailed(
        last_words(result) or what,
        host=result.host,
        command=result.command,
        output=result.errors or None,
        hint="what was good before is still there: kbootstrap backup list",
    )
