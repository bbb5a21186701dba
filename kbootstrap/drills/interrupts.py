"""Being told to stop: everywhere but while a cluster is healed."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

HEALING = b"\nit is being undone; this cannot be stopped\n"

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], Any]


def _raise(_signal: int, _frame: FrameType | None) -> None:
    """Once: who asks again while the first is heeded would only be in its way."""
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[None]:
    """While open, whatever asks this process to end is a KeyboardInterrupt, as Ctrl-C is."""
    with _handling(_raise):
        yield


@contextmanager
def unstoppable() -> Iterator[Callable[[], bool]]:
    """While open, nothing but `kill -9` ends this process; who tries is told why. Yields whether somebody has tried."""
    tried: list[int] = []

    def told(asked: int, _frame: FrameType | None) -> None:
        """In the midst of anything, also of printing: so nothing here may take a lock."""
        tried.append(asked)
        os.write(2, HEALING)

    with _handling(told):
        yield lambda: bool(tried)


@contextmanager
def _handling(handler: Handler) -> Iterator[None]:
    """Signals go to the main thread only; elsewhere there is nothing to do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {stop: signal.signal(stop, handler) for stop in STOPS}
    try:
        yield
    finally:
        for stop, previous in before.items():
            signal.signal(stop, previous)
