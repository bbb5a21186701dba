"""Being told to stop: everywhere but while a cluster is healed."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], Any]


def _raise(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[None]:
    """While open, whatever asks this process to end is a KeyboardInterrupt, as Ctrl-C is."""
    with _handling(_raise):
        yield


@contextmanager
def unstoppable(told: Callable[[], None]) -> Iterator[None]:
    """While open, nothing but `kill -9` ends this process; who tries is told why."""
    with _handling(lambda _signal, _frame: told()):
        yield


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
