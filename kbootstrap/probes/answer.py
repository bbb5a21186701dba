"""HTTP/1.1 answers, read from bytes as they arrive. No I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

HEAD_END = b"\r\n\r\n"
LINE_END = b"\r\n"
LONGEST_HEAD = 64 * 1024

BODILESS = frozenset({204, 304})


class BadAnswer(ValueError):
    """What arrived is no HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server ends the connection after it."""
        return "close" in self.headers.get("connection", "").lower()


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    headers: Mapping[str, str]

    @property
    def chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def length(self) -> int | None:
        """None when the end of the connection is the end of the body."""
        if self.status in BODILESS:
            return 0
        stated = self.headers.get("content-length")
        return None if stated is None else _number(stated.encode(), 10)


class AnswerReader:
    """Takes bytes, gives answers."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: _Head | None = None

    @property
    def begun(self) -> bool:
        """Whether a part of the next answer has come."""
        return bool(self._buffer) or self._head is not None

    def feed(self, data: bytes) -> Iterator[Answer]:
        """The answers that are complete with `data`. Raises BadAnswer."""
        self._buffer += data
        while (answer := self._next()) is not None:
            yield answer

    def end(self) -> Answer | None:
        """The connection has ended: the answer that this completes, if there is one."""
        head = self._head
        if head is None or head.chunked or head.length is not None:
            return None
        self._head = None
        return Answer(head.status, head.headers, self._take(len(self._buffer)))

    def _next(self) -> Answer | None:
        if self._head is None:
            self._head = self._read_head()
        head = self._head
        if head is None:
            return None
        body = self._chunks() if head.chunked else self._exactly(head.length)
        if body is None:
            return None
        self._head = None
        if 100 <= head.status < 200:  # not the answer yet (RFC 9110, 15.2)
            return self._next()
        return Answer(head.status, head.headers, body)

    def _read_head(self) -> _Head | None:
        end = self._buffer.find(HEAD_END)
        if end < 0:
            if len(self._buffer) > LONGEST_HEAD:
                raise BadAnswer("headers without an end")
            return None
        first, *lines = self._take(end + len(HEAD_END))[:end].decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1."):
            raise BadAnswer(f"not an HTTP answer: {first[:40]!r}")
        pairs = (line.partition(":") for line in lines)
        return _Head(_number(words[1].encode(), 10), {name.strip().lower(): value.strip() for name, _, value in pairs})

    def _exactly(self, length: int | None) -> bytes | None:
        return None if length is None or len(self._buffer) < length else self._take(length)

    def _chunks(self) -> bytes | None:
        """The whole body, once its last chunk is there; trailers are read and not kept."""
        body, place = bytearray(), 0
        while True:
            end = self._buffer.find(LINE_END, place)
            if end < 0:
                return None
            size = _number(bytes(self._buffer[place:end]).partition(b";")[0], 16)
            place = end + len(LINE_END)
            if size == 0:
                return self._without_trailers(bytes(body), place)
            if len(self._buffer) < place + size + len(LINE_END):
                return None
            body += self._buffer[place : place + size]
            place += size + len(LINE_END)

    def _without_trailers(self, body: bytes, place: int) -> bytes | None:
        while (end := self._buffer.find(LINE_END, place)) >= 0:
            if end == place:
                self._take(end + len(LINE_END))
                return body
            place = end + len(LINE_END)
        return None

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def _number(text: bytes, base: int) -> int:
    try:
        value = int(text.strip(), base)
    except ValueError:
        raise BadAnswer(f"not a number: {text[:20]!r}") from None
    if value < 0:
        raise BadAnswer(f"not a number: {text[:20]!r}")
    return value
