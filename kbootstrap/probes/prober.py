"""The prober: sends every probe's requests on a fixed grid of times and writes down how each fared."""

import asyncio
import itertools
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TextIO

from kbootstrap.probes.census import ready_replicas
from kbootstrap.probes.exchange import Kept, Outcome, Way, ask_anew, way_to
from kbootstrap.probes.samples import census_line, cut_line, sample_line, seen_line
from kbootstrap.probes.spec import Census, Probe, Spec
from kbootstrap.probes.watch import Watching

FLUSH_SECONDS = 0.5
"""How late samples may be in the file, for who reads along."""

STALL_SECONDS = 1.0
"""A prober that was held up longer does not make up for what it has not sent, which would be a burst, but counts it."""

LAST_EVENTS_SECONDS = 2.0
"""For the watch to tell of the last writes."""

Act = Callable[[int], Coroutine[Any, Any, None]]
"""Does what is due at a point of a grid, by its number."""

Ask = Callable[[int, float], Awaitable[Outcome]]
"""Sends request number n of a probe; how it fared by a deadline."""


@dataclass(slots=True)
class Prober:
    """One run. `late` is the longest a request was held up on this side, in seconds; `unsent` how many never left."""

    spec: Spec
    tls: ssl.SSLContext
    file: TextIO
    late: float = 0.0
    unsent: int = 0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _flying: set[asyncio.Task[None]] = field(default_factory=set)
    _kept: list[Kept] = field(default_factory=list)
    _broken: BaseException | None = None

    def stop(self) -> None:
        """No more requests; those under way are waited for."""
        self._stop.set()

    async def run(self) -> None:
        """Until `stop`. Raises what nobody foresaw in a request."""
        start = time.monotonic()
        probes = self.spec.probes
        grids = [
            asyncio.create_task(
                # Side by side, not all at the same moment.
                self._grid(start + number / len(probes) / probe.rate, probe.interval, self._probing(number, probe))
            )
            for number, probe in enumerate(probes)
        ]
        if (census := self.spec.census) is not None:
            grids.append(asyncio.create_task(self._grid(start, lambda _: census.interval, self._counting(census))))
        grids.append(asyncio.create_task(self._flush()))
        watching = asyncio.create_task(self._watching())
        await self._stop.wait()
        for grid in grids:
            grid.cancel()
        await asyncio.gather(*grids, *self._flying, return_exceptions=True)
        await self._end(watching)
        for kept in self._kept:
            kept.close()
        self.file.flush()
        if self._broken is not None:
            raise self._broken

    async def _grid(self, due: float, interval: Callable[[int], float], act: Act) -> None:
        for serial in itertools.count():
            await asyncio.sleep(due - time.monotonic())
            late = time.monotonic() - due
            self.late = max(self.late, late)
            if late > STALL_SECONDS:
                missed = int(late / interval(serial))
                self.unsent += missed
                due += missed * interval(serial)
            task = asyncio.create_task(act(serial))
            self._flying.add(task)
            task.add_done_callback(self._landed)
            due += interval(serial)

    def _landed(self, task: asyncio.Task[None]) -> None:
        """A request that cannot be accounted for ends the run: none may be lost in silence."""
        self._flying.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = error
            self.stop()

    def _probing(self, number: int, probe: Probe) -> Act:
        ask = self._asking(probe)

        async def act(serial: int) -> None:
            began = time.monotonic()
            outcome = await ask(serial, began + self.spec.patience)
            self.file.write(sample_line(number, serial, began, time.monotonic() - began, outcome))

        return act

    def _asking(self, probe: Probe) -> Ask:
        ways = [way_to(probe, target, self.tls, self.spec.credentials.server_name) for target in probe.targets]
        kept = [self._keep(way) for _ in range(probe.kept) for way in ways]

        def ask(serial: int, deadline: float) -> Awaitable[Outcome]:
            way = ways[serial % len(ways)]
            request = way.request(probe.path, probe.content(serial), keep=bool(kept))
            return kept[serial % len(kept)].ask(request, deadline) if kept else ask_anew(way, request, deadline)

        return ask

    def _counting(self, census: Census) -> Act:
        """Counts the replicas, and says nothing when it cannot."""
        way = Way(census.target, self.tls, self.spec.credentials.server_name)
        kept = self._keep(way)
        request = way.request(census.path, keep=True)

        async def act(_serial: int) -> None:
            began = time.monotonic()
            outcome = await kept.ask(request, began + self.spec.patience)
            if not outcome.error:
                self.file.write(census_line(began, ready_replicas(outcome.body)))

        return act

    async def _watching(self) -> None:
        if (watch := self.spec.watch) is not None:
            way = Way(watch.target, self.tls, self.spec.credentials.server_name)
            await Watching(
                way,
                watch.path,
                watch.patience,
                seen=lambda at, name: _write(self.file, seen_line(at, name)),
                cut=lambda at, reason: _write(self.file, cut_line(at, reason)),
            ).run()

    async def _end(self, watching: asyncio.Task[None]) -> None:
        """The last writes have been answered: their events come a moment later."""
        if self.spec.watch is not None:
            await asyncio.wait([watching], timeout=LAST_EVENTS_SECONDS)
        if watching.done() and not watching.cancelled() and (error := watching.exception()) is not None:
            self._broken = self._broken or error
        watching.cancel()

    def _keep(self, way: Way) -> Kept:
        self._kept.append(Kept(way))
        return self._kept[-1]

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.file.flush()


def _write(file: TextIO, line: str) -> None:
    file.write(line)
