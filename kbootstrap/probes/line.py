"""One connection to a server: requests go out at once, answers come back in the same order."""

import asyncio
import os
import socket
import ssl
from collections import deque
from typing import cast

from kbootstrap.probes.answer import Answer, AnswerReader, BadAnswer
from kbootstrap.probes.spec import Target

CLOSED = "closed by the server"


class Ended(Exception):
    """The connection ended before an answer was complete.

    `begun`: a part of the answer had come. `ours`: it was this side that ended it.
    """

    def __init__(self, reason: str, *, begun: bool, ours: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.begun = begun
        self.ours = ours


class Line(asyncio.Protocol):
    """A connection that stands.

    Requests do not wait for the answers to earlier ones (RFC 9112, 9.3.2, pipelining), so that an answer that is late
    holds up no request; HTTP/2 clients, which Kubernetes' own are, send on one connection in the same way.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader = AnswerReader()
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._why = ""
        self.heard = asyncio.get_running_loop().time()
        """When something last came from the server, or the line was made."""

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes) -> "asyncio.Future[Answer]":
        """The answer to come. Raises Ended, now or when it is waited for."""
        if self._transport is None or self._transport.is_closing():
            raise Ended(self._why or CLOSED, begun=False, ours=bool(self._why))
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._transport.write(request)
        return waiting

    def close(self, why: str) -> None:
        """Ends it at once; who still waits is told why, or that it was the server's will."""
        self._why = why
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard = asyncio.get_running_loop().time()
        try:
            for answer in self._reader.feed(data):
                self._give(answer)
                if answer.closes:
                    self.close("")
                    return
        except BadAnswer as error:
            self.close(str(error))

    def eof_received(self) -> bool:
        """Closes this side too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if (answer := self._reader.end()) is not None:
            self._give(answer)
        reason = self._why or (CLOSED if exc is None else said(exc))
        begun = self._reader.begun
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(Ended(reason, begun=begun, ours=bool(self._why)))
            begun = False
        self._transport = None

    def _give(self, answer: Answer) -> None:
        if not self._waiting:
            raise BadAnswer(f"an answer that nobody asked for: status {answer.status}")
        waiting = self._waiting.popleft()
        if not waiting.done():
            waiting.set_result(answer)


async def plugged(target: Target) -> socket.socket:
    """A TCP connection that stands. Raises OSError."""
    plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    plug.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(plug, (target.host, target.port))
    except BaseException:
        plug.close()
        raise
    return plug


async def opened(plug: socket.socket, tls: ssl.SSLContext | None, server_name: str) -> Line:
    """A line over a TCP connection, with a full TLS handshake if there is a context. Raises OSError."""
    name = server_name if tls else None
    try:
        _, line = await asyncio.get_running_loop().create_connection(Line, sock=plug, ssl=tls, server_hostname=name)
    except BaseException:
        plug.close()
        raise
    return line


def said(error: Exception) -> str:
    """An error of the network in a few words that are the same every time."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return (str(error) or type(error).__name__).lower()
