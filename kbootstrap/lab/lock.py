"""One at a time: a lock that ends with its last holder, however that one ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kbootstrap.errors import LabError

_POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path, *, timeout: float) -> Iterator[int]:
    """Hold the lock file `path`; gives its file descriptor: a child that inherits it holds the lock as well.

    The file stays, so that a child which still holds it is waited for; only a holder may remove it.
    `LabError` after `timeout` seconds of waiting.
    """
    fd = _acquire(path, time.monotonic() + timeout)
    try:
        yield fd
    finally:
        os.close(fd)


def _acquire(path: Path, deadline: float) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            if time.monotonic() > deadline:
                raise LabError(
                    f"somebody else holds {path}", hint="another lab command is at work: wait for it"
                ) from None
            time.sleep(_POLL_SECONDS)
            continue
        if _same_file(path, fd):
            return fd
        os.close(fd)  # its holder removed it before letting go: what we hold is nobody's lock any more


def _same_file(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
