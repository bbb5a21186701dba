"""How one request fares: on a new connection, or on one that is kept open as clients keep theirs.

What counts is written down in docs/probes.md.
"""

import asyncio
import json
import ssl
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from kbootstrap.probes.answer import Answer
from kbootstrap.probes.line import Ended, Line, opened, plugged, said
from kbootstrap.probes.spec import Target

RECONNECT_PATIENCE = 1.0
"""Seconds until a kept connection's successor is tried anew: a lost SYN is repeated after 1, 3 and 7 s only."""

MESSAGE_LENGTH = 160
"""How much of an error's text is kept."""


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
    """How a server is reached."""

    target: Target
    tls: ssl.SSLContext | None = None
    server_name: str = ""

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
            return Outcome(body=(await _answered(line, request, deadline)).body)
        finally:
            line.close("not needed any more")
    except Missed as missed:
        return Outcome(missed.reason, maybe=missed.maybe)


class Kept:
    """A connection that is kept open, and opened anew when it has ended."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._line: Line | None = None
        self._opening: asyncio.Task[Line] | None = None

    async def ask(self, request: bytes, deadline: float) -> Outcome:
        """On the connection as it is; on a new one if the server gives it up (see `Missed.again`)."""
        moved, maybe = "", False
        if self._line is not None and self._line.is_open:
            try:
                return Outcome(body=(await _answered_by_shared(self._line, request, deadline)).body)
            except Missed as missed:
                if not missed.again:
                    return Outcome(missed.reason, maybe=missed.maybe)
                moved, maybe = missed.reason, missed.maybe
        try:
            line = await self._new_line(deadline)
            # One that was moved has lost a part of its patience: that proves nothing against the new connection.
            answer = await (_answered if moved else _answered_by_shared)(line, request, deadline)
            return Outcome(moved=moved, body=answer.body)
        except Missed as missed:
            if moved and missed.status == HTTPStatus.CONFLICT:
                return Outcome(moved=moved)  # the first time it was carried out after all
            return Outcome(missed.reason, moved, maybe or missed.maybe)

    def close(self) -> None:
        """Ends the connection."""
        if self._line is not None:
            self._line.close("not needed any more")

    async def _new_line(self, deadline: float) -> Line:
        """The kept connection, opened if it is not; requests that wait for it wait together."""
        while self._line is None or not self._line.is_open:
            if self._opening is None or self._opening.done():
                patience = asyncio.get_running_loop().time() + RECONNECT_PATIENCE
                self._opening = asyncio.create_task(_connected(self._way, patience))
            try:
                with suppress(_TooLate):
                    async with asyncio.timeout_at(deadline):
                        self._line = await asyncio.shield(self._opening)
            except TimeoutError:
                raise Missed(_about(self._way, "no connection")) from None
        return self._line


class _TooLate(Missed):
    """Nothing happened in time."""


async def _connected(way: Way, deadline: float) -> Line:
    try:
        async with asyncio.timeout_at(deadline):
            plug = await plugged(way.target)
    except TimeoutError:
        raise _TooLate(_about(way, "no connection")) from None
    except OSError as error:
        raise Missed(_about(way, said(error))) from error
    try:
        async with asyncio.timeout_at(deadline):
            return await opened(plug, way.tls, way.server_name)
    except TimeoutError:
        raise _TooLate(_about(way, "connected, no TLS handshake")) from None
    except OSError as error:
        raise Missed(_about(way, f"connected, then in the TLS handshake: {said(error)}")) from error


async def _answered_by_shared(line: Line, request: bytes, deadline: float) -> Answer:
    """On a connection that others use too: it is given up if nothing at all has come from it for the whole patience."""
    sent = asyncio.get_running_loop().time()
    try:
        return await _answered(line, request, deadline)
    except _TooLate:
        if line.heard < sent:
            line.close("no answer, as to others before it: the connection was given up")
        raise


async def _answered(line: Line, request: bytes, deadline: float) -> Answer:
    try:
        async with asyncio.timeout_at(deadline):
            answer = await line.ask(request)
    except TimeoutError:
        raise _TooLate("no answer", maybe=True) from None
    except Ended as ended:
        how = "" if ended.ours else f", {'in the middle of' if ended.begun else 'without'} an answer"
        raise Missed(f"{ended.reason}{how}", maybe=True, again=not (ended.begun or ended.ours)) from ended
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
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
