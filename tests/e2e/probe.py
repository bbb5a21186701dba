"""What a client sees of the API: requests on new connections, many a second, each in a thread of its own."""

import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

INTERVAL = 0.05
"""Between two requests, in seconds, where nothing else is said."""
PATIENCE = 2.0
"""Seconds that a client waits for an answer; kubectl would wait longer."""


@dataclass(frozen=True, slots=True)
class Request:
    """When a request began and ended (monotonic seconds), and what went wrong, if anything."""

    began: float
    ended: float
    error: str


@dataclass(slots=True)
class Probe:
    """Requests to one address, in the order they ended."""

    address: str
    port: int
    authority: str
    """The certificate that the server's must be signed with (PEM)."""
    requests: list[Request] = field(default_factory=list)
    interval: float = INTERVAL

    def failures(self) -> list[Request]:
        return [request for request in self.requests if request.error]

    def outage(self, since: float) -> float:
        """Seconds from `since` to the beginning of the last request that failed."""
        return max((request.began - since for request in self.failures() if request.began >= since), default=0.0)

    def silence(self) -> float:
        """The longest time, in seconds, in which no request was answered."""
        ends = sorted(request.ended for request in self.requests if not request.error)
        return max(after - before for before, after in pairwise(ends))

    def slow(self, seconds: float, since: float) -> list[Request]:
        """Requests that began after `since` and took longer than so many seconds."""
        return [
            request for request in self.requests if request.began >= since and request.ended - request.began > seconds
        ]

    def summary(self, since: float) -> str:
        """In words, for a failure's output."""
        failed = [f"{request.began - since:+.2f} s: {request.error}" for request in self.failures()]
        slowest = max(request.ended - request.began for request in self.requests)
        head = f"{len(self.requests)} requests, the slowest took {slowest:.2f} s; no answers for {self.silence():.2f} s"
        return "\n".join([f"{head}; {len(failed)} failed", *failed])

    def ask(self) -> None:
        """One request on a connection of its own."""
        began, error = time.monotonic(), ""
        connection = http.client.HTTPSConnection(self.address, self.port, timeout=PATIENCE, context=self._context())
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            error = "" if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException) as failure:
            error = f"{type(failure).__name__}: {failure}"
        finally:
            connection.close()
        self.requests.append(Request(began, time.monotonic(), error))

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority)


@contextmanager
def probing(probe: Probe) -> Iterator[Probe]:
    """Asks again and again until the block ends."""
    stop = threading.Event()

    def ask_on() -> None:
        due = time.monotonic()
        with ThreadPoolExecutor(max_workers=int(2 * PATIENCE / probe.interval)) as pool:
            while not stop.is_set():
                pool.submit(probe.ask)
                due += probe.interval
                stop.wait(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=ask_on)
    thread.start()
    try:
        yield probe
    finally:
        stop.set()
        thread.join()
