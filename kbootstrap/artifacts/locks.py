"""Locks between processes on the control machine; the kernel frees them when a process dies."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kbootstrap.errors import ArtifactError

_POLL = 0.1
"""Seconds between two looks at a lock that somebody holds."""


def _quiet() -> None:
    """Nobody wants to know that we wait."""


@contextmanager
def locked(path: Path, deadline: float, waiting: Callable[[], None] = _quiet) -> Iterator[None]:
    """Holds the lock file; `waiting` is called ten times a second while another process has it.

    Raises ArtifactError after `deadline` seconds, and what `waiting` raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        _take(file.fileno(), path, deadline, waiting)
        yield


def _take(descriptor: int, path: Path, deadline: float, waiting: Callable[[], None]) -> None:
    end = time.monotonic() + deadline
    while not _try(descriptor):
        if time.monotonic() > end:
            raise ArtifactError(
                f"another process has held {path} for {deadline:.0f} s",
                hint=f"see which with `fuser {path}`, and wait for it or end it",
            )
        waiting()
        time.sleep(_POLL)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
