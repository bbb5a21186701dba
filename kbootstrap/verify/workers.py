"""Sessions in processes of their own, so that they run side by side: pytest cannot in threads.

The processes are forked from one that has imported pytest already, and has nothing of this one's: no connection, no
key, no thread. They run commands on hosts through this process (see `lend`).
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerProcess
from threading import Lock, Thread

from kbootstrap.transport.connection import Connection
from kbootstrap.verify.lend import Borrowed, lend
from kbootstrap.verify.report import Finding, Outcome, failed
from kbootstrap.verify.session import Job, run_session

SESSION_SECONDS = 240.0
"""How long a session may take, before the inventory's scale; whole verifications take less than half a minute."""

ENDING_SECONDS = 45.0
"""How long an interrupted session may take to put everything back, before the scale: deleting a namespace takes up to
30 s."""


def prepare() -> None:
    """Starts the process that the others are forked from; its imports then happen beside something else."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(["__main__", __name__])
    forkserver.ensure_running()


@dataclass(slots=True)
class Crew:
    """The sessions that run now."""

    scale: float = 1.0
    _lock: Lock = field(default_factory=Lock)
    _running: set[ForkServerProcess] = field(default_factory=set)
    _interrupted: bool = False

    def run(self, job: Job, connections: Mapping[str, Connection], tell: Callable[[Outcome], None]) -> None:
        """Runs a session and tells its outcomes; ends when it has ended. May be called from several threads."""
        context = multiprocessing.get_context("forkserver")
        reader, writer = context.Pipe(duplex=False)
        pipes = {name: context.Pipe() for name in job.hosts}
        process = context.Process(target=_work, args=(job, {n: p[1] for n, p in pipes.items()}, writer), daemon=True)
        if not self._started(process):
            return
        writer.close()
        for name, (ours, theirs) in pipes.items():
            theirs.close()
            Thread(target=lend, args=(connections[name], ours), name=f"lend {name}", daemon=True).start()
        try:
            problem = self._listen(process, reader, tell)
        finally:
            self._ended(process)
        if problem and not self._interrupted:
            tell(failed(job.subject, "session", "the suites run to their end", Finding(problem)))

    def interrupt(self) -> None:
        """Asks all sessions to end now, and to put everything back first."""
        with self._lock:
            self._interrupted = True
            for process in self._running:
                _signal(process, signal.SIGINT)

    def kill(self) -> None:
        """Ends all sessions at once."""
        with self._lock:
            self._interrupted = True
            for process in self._running:
                process.kill()

    def _started(self, process: ForkServerProcess) -> bool:
        with self._lock:
            if not self._interrupted:
                process.start()
                self._running.add(process)
            return not self._interrupted

    def _ended(self, process: ForkServerProcess) -> None:
        with self._lock:
            self._running.discard(process)

    def _listen(self, process: ForkServerProcess, reader: Pipe, tell: Callable[[Outcome], None]) -> str | None:
        """Passes outcomes on until the process closes its end; what was wrong with it, if anything."""
        seconds = SESSION_SECONDS * self.scale
        if not _drain(reader, seconds, tell):
            _signal(process, signal.SIGINT)
            if not _drain(reader, ENDING_SECONDS * self.scale, tell):
                process.kill()
            return f"they did not end within {seconds:.0f} s"
        process.join(ENDING_SECONDS * self.scale)
        return None if process.exitcode == 0 else f"the process that ran them ended with {process.exitcode}"


def _drain(reader: Pipe, seconds: float, tell: Callable[[Outcome], None]) -> bool:
    """Tells what comes until the other end is closed; False when it is still open after `seconds`."""
    deadline = time.monotonic() + seconds
    try:
        while reader.poll(max(0.0, deadline - time.monotonic())):
            tell(reader.recv())
    except (EOFError, OSError):
        return True
    return False


def _signal(process: ForkServerProcess, number: signal.Signals) -> None:
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, number)


def _work(job: Job, pipes: Mapping[str, Pipe], writer: Pipe) -> None:
    """The whole life of a session's process."""
    os.setpgrp()  # Ctrl-C in the terminal is for the process that started us; it passes it on, once
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)

    def tell(outcome: Outcome) -> None:
        with suppress(OSError):  # who started us was killed: nobody listens, and the rest ends soon
            writer.send(outcome)

    with suppress(KeyboardInterrupt):
        run_session(job, {name: Borrowed(name, pipe) for name, pipe in pipes.items()}, tell)
    writer.close()
