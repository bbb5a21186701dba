"""One long watch, as controllers have: every event is written down, and so is every time that it broke.

It begins with a list, and goes on from the last event that it has seen, on a new connection. A server that says nothing
for a while is taken for dead, as clients do that send pings: a host that loses its power ends no connection.

Why a list: a watch without a version tells of all there is as well, but by name, not in the order of their versions.
One that breaks in the middle of that and goes on from the last version leaves out every object whose name comes later
and whose version is lower (seen in a cold restart, where answers take seconds).
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from kbootstrap.probes.exchange import Way, ask_anew
from kbootstrap.probes.line import CLOSED, said

LONGEST_LINE = 2**20
PAUSE = 0.1
"""Between two attempts to connect."""


class Broken(Exception):
    """The watch ended; the text says why."""


@dataclass(slots=True)
class Watching:
    """A watch of the objects at `path`.

    `seen` is told the name of each that is there or was added, `cut` why the watch broke.
    """

    way: Way
    path: str
    patience: float
    """Seconds without a word, and the server is taken for dead."""
    seen: Callable[[float, str], None]
    cut: Callable[[float, str], None]
    _version: str = field(default="")

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._once()
            except (Broken, OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                self.cut(time.monotonic(), _reason(error))
            await asyncio.sleep(PAUSE)

    async def _once(self) -> None:
        if not self._version:
            await self._list()
        target, name = self.way.target, self.way.server_name or None
        async with asyncio.timeout(self.patience):
            reader, writer = await asyncio.open_connection(
                target.host, target.port, ssl=self.way.tls, server_hostname=name, limit=LONGEST_LINE
            )
        try:
            writer.write(self.way.request(f"{self.path}?watch=1&resourceVersion={self._version}"))
            await self._require_good(reader)
            rest = b""
            while size := int(await self._line(reader), 16):
                async with asyncio.timeout(self.patience):
                    rest += await reader.readexactly(size)
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    self._take(line)
                await self._line(reader)
            raise Broken(CLOSED)
        finally:
            writer.transport.abort()

    async def _list(self) -> None:
        """What there is now, as of a version that no acknowledged write is younger than."""
        request = self.way.request(self.path)
        outcome = await ask_anew(self.way, request, asyncio.get_running_loop().time() + self.patience)
        if outcome.error:
            raise Broken(outcome.error)
        found = json.loads(outcome.body)
        now = time.monotonic()
        for item in found["items"]:
            self.seen(now, item["metadata"]["name"])
        self._version = found["metadata"]["resourceVersion"]

    async def _require_good(self, reader: asyncio.StreamReader) -> None:
        status = (await self._line(reader)).split(b" ", 2)[1]
        while await self._line(reader):
            pass
        if int(status) == HTTPStatus.GONE:
            self._version = ""
        if int(status) != HTTPStatus.OK:
            raise Broken(f"status {status.decode()}")

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        async with asyncio.timeout(self.patience):
            line = await reader.readline()
        if not line.endswith(b"\n"):
            raise Broken(CLOSED)
        return line.rstrip()

    def _take(self, line: bytes) -> None:
        """One event. Chunks have nothing to do with where one ends."""
        event = json.loads(line)
        if event["type"] == "ERROR":
            self._version = ""
            raise Broken(f"status {event['object'].get('code')}")
        meta = event["object"]["metadata"]
        self._version = meta["resourceVersion"]
        if event["type"] == "ADDED":
            self.seen(time.monotonic(), meta["name"])


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "silent"
    return said(error) if isinstance(error, OSError) else str(error)
