"""A command's output, kept whole up to a bound, and beyond it the beginning and the end."""

from collections import deque
from collections.abc import Callable

OUTPUT_LIMIT = 64 * 1024 * 1024
"""Bytes of output that are kept of a command. Facts of a host are well below 1 MiB; a file to `get` may be big."""


class Capture:
    """Collects bytes as they arrive."""

    def __init__(self, limit: int = OUTPUT_LIMIT) -> None:
        self._half = limit // 2
        self._head: list[bytes] = []
        self._head_size = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._dropped = 0

    @property
    def truncated(self) -> bool:
        return self._dropped > 0

    def add(self, chunk: bytes) -> None:
        room = self._half - self._head_size
        if room > 0:
            self._head.append(chunk[:room])
            self._head_size += len(self._head[-1])
            chunk = chunk[room:]
        if not chunk:
            return
        self._tail.append(chunk)
        self._tail_size += len(chunk)
        while self._tail_size > self._half:
            self._shorten(self._tail_size - self._half)

    def content(self) -> bytes:
        """What was kept; a line in the middle says how much was not."""
        tail = b"".join(self._tail)
        if not self.truncated:
            return b"".join(self._head) + tail
        return b"".join((*self._head, f"\n[... {self._dropped} bytes left out ...]\n".encode(), tail))

    def _shorten(self, excess: int) -> None:
        first = self._tail.popleft()
        if len(first) > excess:
            self._tail.appendleft(first[excess:])
        dropped = min(len(first), excess)
        self._tail_size -= dropped
        self._dropped += dropped


class Lines:
    """Cuts a stream of bytes into lines and passes each on, without its end."""

    def __init__(self, sink: Callable[[str], None]) -> None:
        self._sink = sink
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        *complete, self._rest = (self._rest + chunk).split(b"\n")
        for line in complete:
            self._sink(line.decode(errors="replace").removesuffix("\r"))

    def finish(self) -> None:
        """Passes on a last line that had no end."""
        if self._rest:
            self._sink(self._rest.decode(errors="replace"))
        self._rest = b""
