"""How one request fares: on a new connection, or on one that is kept open as clients keep theirs.

What counts is written down in docs/probes.md.
"""

import asyncio
import json
import socket
import ssl
import time
from dataclasses import dataclass
from http import HTTPStatus

from kbootstrap.probes.answer import Answer
from kbootstrap.probes.line import Ended, Line, opened, plugged, said
from kbootstrap.probes.spec import Probe, Target
from kbootstrap.probes.tls import context

MESSAGE_LENGTH = 160
"""How much of an error's text is kept."""

NOBODY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)
"""What a proxy says when nobody accepts its connection, or nobody answers."""

MOST_IDLE = 8
"""Connections that are kept in the place of one. With a probe's eight of those: a second's requests at full rate."""

MOST_HANDSHAKES = 4
"""Of connections in the place of one at the same time. When a server stands still, all that were kept are wanted anew:
four hundred handshakes a second, more than two processors can do, so that none of them ended in time (measured: 27 s
without a good answer after a fault of 2 s)."""

SPARE_SECONDS = 2.0
"""After which one that nobody needed is closed: of connections that die in silence, each costs a request."""


NO_HANDSHAKE = "connected, no TLS handshake"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended: `error` is empty when it was answered as it should be.

    `moved` says why it was sent a second time, if it was. `maybe`: it failed, and yet it may have been carried out.
    """

    error: str = ""
    moved: str = ""
    maybe: bool = False
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Way:
    """How a server is reached; `strict`: every answer but a good one is a failure."""

    target: Target
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    strict: bool = True

    def request(self, path: str, body: bytes = b"", *, keep: bool = False) -> bytes:
        """The bytes of a GET, or of a POST if there is a body."""
        lines = [
            f"{'POST' if body else 'GET'} {path} HTTP/1.1",
            f"Host: {self.server_name or self.target.host}",
            "User-Agent: kbootstrap-probe",
            "Accept: application/json, */*",
            f"Connection: {'keep-alive' if keep else 'close'}",
            *((f"Content-Length: {len(body)}", "Content-Type: application/json") if body else ()),
        ]
        return "\r\n".join((*lines, "", "")).encode() + body


def way_to(probe: Probe, target: Target, tls: ssl.SSLContext, server_name: str) -> Way:
    """The way of a probe's requests, with the run's TLS where it has no other."""
    own = probe.credentials
    if not probe.secure:
        return Way(target, server_name=own.server_name if own else "", strict=probe.strict)
    if own is not None:
        tls, server_name = context(own), own.server_name
    return Way(target, tls, server_name, probe.strict)


class Missed(Exception):
    """No good answer. `again`: on a reused connection every client would send the request a second time."""

    def __init__(self, reason: str, *, maybe: bool = False, again: bool = False, status: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.maybe = maybe
        self.again = again
        self.status = status


async def ask_anew(way: Way, request: bytes, deadline: float) -> Outcome:
    """On a connection of its own, which is closed afterwards. `deadline` is of the loop's clock."""
    try:
        line = await _connected(way, deadline)
        try:
            return Outcome(body=(await _answered(line, request, deadline, strict=way.strict)).body)
        finally:
            line.close()
    except Missed as missed:
        return Outcome(missed.reason, maybe=missed.maybe)


class Kept:
    """A connection that is kept open between requests.

    While it is busy with one, the next has another: as with every HTTP/1.1 client, an answer that is late holds up no
    other request. Those are kept for a while, too. Closed at once, they would be opened anew with each request as long
    as a cluster is slow, and the handshakes (four times the work of the requests) would keep it slow. Who waits for its
    turn with one takes a connection that is idle meanwhile.
    """

    def __init__(self, way: Way) -> None:
        self._way = way
        self._idle: list[tuple[float, Line]] = []
        """Since when, the one that was used last at the end."""
        self._handshakes = asyncio.Semaphore(MOST_HANDSHAKES)

    async def ask(self, request: bytes, deadline: float) -> Outcome:
        """On a connection that was kept; on a new one if there is none, or the server gives it up meanwhile."""
        moved, maybe = "", False
        try:
            line = self._taken() or await self._new(deadline)
            if line.used:
                try:
                    return Outcome(body=(await self._on(line, request, deadline)).body)
                except Missed as missed:
                    if not missed.again:
                        raise
                    moved, maybe = missed.reason, missed.maybe
                line = await self._new(deadline, instead=False)
            return Outcome(moved=moved, body=(await self._on(line, request, deadline)).body)
        except Missed as missed:
            if moved and missed.status == HTTPStatus.CONFLICT:
                return Outcome(moved=moved)  # the first time it was carried out after all
            return Outcome(missed.reason, moved, maybe or missed.maybe)

    def close(self) -> None:
        """Ends the connection, and those beside it."""
        for _, line in self._idle:
            line.close()

    async def _new(self, deadline: float, *, instead: bool = True) -> Line:
        """A new one, or `instead` one that is idle when it would be this one's turn. Raises Missed."""
        plug = await _plugged(self._way, deadline)
        try:
            await self._turn(deadline)
        except BaseException:
            plug.close()
            raise
        try:
            if instead and (line := self._taken()) is not None:
                plug.close()
                return line
            return await _opened(self._way, plug, deadline)
        finally:
            self._handshakes.release()

    async def _turn(self, deadline: float) -> None:
        """Waits until one more handshake may begin."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._handshakes.acquire()
        except TimeoutError:
            raise Missed(_about(self._way, NO_HANDSHAKE)) from None

    def _taken(self) -> Line | None:
        """The one that was used last, of those that stand."""
        standing = [(since, line) for since, line in self._idle if line.is_open]
        needed = time.monotonic() - SPARE_SECONDS
        for since, line in standing[:-1]:
            if since < needed:
                line.close()
        self._idle = [one for one in standing if one[1].is_open]
        return self._idle.pop()[1] if self._idle else None

    async def _on(self, line: Line, request: bytes, deadline: float) -> Answer:
        """Keeps the connection afterwards, unless there are enough."""
        try:
            return await _answered(line, request, deadline, strict=self._way.strict)
        finally:
            if line.is_open and len(self._idle) < MOST_IDLE:
                self._idle.append((time.monotonic(), line))
            else:
                line.close()


async def _connected(way: Way, deadline: float) -> Line:
    return await _opened(way, await _plugged(way, deadline), deadline)


async def _plugged(way: Way, deadline: float) -> socket.socket:
    try:
        async with asyncio.timeout_at(deadline):
            return await plugged(way.target)
    except TimeoutError:
        raise Missed(_about(way, "no connection")) from None
    except OSError as error:
        raise Missed(_about(way, said(error))) from error


async def _opened(way: Way, plug: socket.socket, deadline: float) -> Line:
    try:
        async with asyncio.timeout_at(deadline):
            return await opened(plug, way.tls, way.server_name)
    except TimeoutError:
        raise Missed(_about(way, NO_HANDSHAKE)) from None
    except OSError as error:
        raise Missed(_about(way, f"connected, then in the TLS handshake: {said(error)}")) from error


async def _answered(line: Line, request: bytes, deadline: float, *, strict: bool) -> Answer:
    try:
        async with asyncio.timeout_at(deadline):
            answer = await line.ask(request)
    except TimeoutError:
        line.close()  # which tells the server that nobody waits any more
        raise Missed("no answer", maybe=True) from None
    except Ended as ended:
        reason = f"{ended.reason}, {'in the middle of' if ended.begun else 'without'} an answer"
        raise Missed(reason, maybe=True, again=not ended.begun) from ended
    good = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES if strict else answer.status not in NOBODY
    if good:
        return answer
    raise Missed(
        f"status {answer.status}{_message(answer)}",
        maybe=answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
        again=answer.status == HTTPStatus.TOO_MANY_REQUESTS and "retry-after" in answer.headers and answer.closes,
        status=answer.status,
    )


def _message(answer: Answer) -> str:
    """What the API's Status object, or plain text, says."""
    try:
        text = str(json.loads(answer.body)["message"])
    except (ValueError, KeyError, TypeError):
        text = answer.body.decode(errors="replace")
    text = " ".join(text.split())[:MESSAGE_LENGTH]
    return f": {text}" if text else ""


def _about(way: Way, reason: str) -> str:
    return f"{way.target.name}: {reason}" if way.target.name else reason
