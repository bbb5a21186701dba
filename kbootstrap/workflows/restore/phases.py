"""What this machine does itself, told as phases like those of hosts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kbootstrap.errors import KbootstrapError
from kbootstrap.events import PhaseFinished, PhaseStarted, Sink

HERE = "here"
"""What events call this machine."""


@contextmanager
def phase(emit: Sink, name: str, host: str = HERE) -> Iterator[None]:
    """Tells when it began and how it ended."""
    began = time.monotonic()
    emit(PhaseStarted(name, host))
    error: str | None = None
    try:
        yield
    except KbootstrapError as failure:
        error = failure.message
        raise
    finally:
        emit(PhaseFinished(name, host, time.monotonic() - began, error=error))
