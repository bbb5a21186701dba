"""One connection to a server, for one request at a time."""

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from typing import cast

from kbootstrap.probes.answer import Answer, AnswerReader, BadAnswer
from kbootstrap.probes.spec import Target

CLOSED = "closed by the server"


class Ended(Exception):
    """The connection ended before an answer was complete; `begun` says whether a part of it had come."""

    def __init__(self, reason: str, *, begun: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.begun = begun


class Line(asyncio.Protocol):
    """A connection that stands."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader = AnswerReader()
        self._waiting: asyncio.Future[Answer] | None = None
        self.used = False
        """Whether a request was sent on it: the server may give it up whenever it likes then."""

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent, as far as is known here."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Answer:
        """The answer. Raises Ended."""
        if self._transport is None or self._transport.is_closing():
            raise Ended(CLOSED, begun=False)
        self.used = True
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Ends it at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for answer in self._reader.feed(data):
                self._give(answer)
        except BadAnswer as error:
            self._fail(Ended(str(error), begun=True))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if (answer := self._reader.end()) is not None:
            self._give(answer)
        self._fail(Ended(CLOSED if exc is None else said(exc), begun=self._reader.begun))

    def _give(self, answer: Answer) -> None:
        if answer.closes:
            self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)
        else:
            self.close()  # nobody has asked for this one

    def _fail(self, ended: Ended) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ended)


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
        # asyncio's transport has the socket now, and closes it when it hears its end. Closed here, its number would be
        # the next connection's while asyncio still takes that for this one's.
        with suppress(OSError):
            plug.shutdown(socket.SHUT_RDWR)
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
    # asyncio's own, without a number or words: the end of a connection in the middle of a handshake.
    return str(error) or (CLOSED if isinstance(error, ConnectionError) else type(error).__name__)
