"""What is seen while a cluster is probed: the requests, and on the same clock what the tool did meanwhile."""

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kbootstrap.events import Event, PhaseFinished, PhaseStarted, Sink
from kbootstrap.probes.ledger import Verdict
from kbootstrap.probes.samples import Samples, read_samples


@dataclass(frozen=True, slots=True)
class Span:
    """A phase on a host, from `began` to `ended`; `error` if it failed."""

    phase: str
    host: str
    began: float
    ended: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment worth a line on the axis, such as a fault."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Account:
    """How the prober itself fared.

    `cpu`: the share of a core it used; `late`: the longest, in seconds, that a request was held up before it was
    sent; `unsent`: how many were not sent at all because the prober was held up; `problem`: why the measurement is
    not whole, if it is not.
    """

    cpu: float = 0.0
    late: float = 0.0
    unsent: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """A whole run, as values. Times are seconds of CLOCK_MONOTONIC; `started` says when `began` was."""

    started: datetime
    began: float
    ended: float
    samples: Samples
    spans: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()
    account: Account = Account()
    ledgers: tuple[Verdict, ...] = ()
    """What became of the acknowledged writes, by each place where they were looked for."""
    replicas_wanted: int = 0
    """Of the application: as many must be ready always."""


@dataclass(slots=True)
class Recording:
    """A run that goes on. Events may come from many threads."""

    probes: tuple[str, ...]
    replicas_wanted: int = 0
    """Of the application under test: as many must be ready always."""
    place: str = ""
    """Where else requests come from, in words."""
    ledgers: tuple[Verdict, ...] = ()
    """What the readings back have shown; set when they are done."""
    account: Account = Account()
    file: Path | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = field(default_factory=time.monotonic)
    _spans: list[Span] = field(default_factory=list)
    _running: dict[tuple[str, str], float] = field(default_factory=dict)
    _marks: list[Mark] = field(default_factory=list)
    _samples: Samples | None = None
    _ended: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, emit: Sink) -> Sink:
        """A sink that notes when phases begin and end, and passes everything on."""

        def sink(event: Event) -> None:
            self._note(event, time.monotonic())
            emit(event)

        return sink

    def mark(self, text: str) -> None:
        """Something happens now."""
        with self._lock:
            self._marks.append(Mark(time.monotonic(), text))

    def samples(self) -> Samples:
        """What was sampled until half a second ago, or all of it when the prober has ended."""
        if self._samples is not None:
            return self._samples
        if self.file is None:
            return read_samples(self.probes, ())
        with self.file.open(encoding="utf-8") as lines:
            return read_samples(self.probes, lines)

    def begin(self, file: Path) -> None:
        """The prober has begun, and writes to `file`."""
        self.file, self.started, self.began = file, datetime.now(UTC), time.monotonic()

    def stop(self) -> None:
        """No more requests are sent from now on; the last are still waited for."""
        self._ended = time.monotonic()

    def finish(self, account: Account) -> None:
        """The prober has ended."""
        self.account = account
        self._samples = self.samples()

    def observation(self) -> Observation:
        """What there is so far; phases that go on end now."""
        now = self._ended or time.monotonic()
        with self._lock:
            going_on = [Span(phase, host, since, now) for (phase, host), since in self._running.items()]
            spans = sorted([*self._spans, *going_on], key=lambda span: span.began)
            marks = tuple(self._marks)
        return Observation(
            self.started,
            self.began,
            now,
            self.samples(),
            tuple(spans),
            marks,
            self.account,
            self.ledgers,
            self.replicas_wanted,
        )

    def _note(self, event: Event, now: float) -> None:
        with self._lock:
            match event:
                case PhaseStarted(phase, host):
                    self._running[(phase, host)] = now
                case PhaseFinished(phase, host, seconds, _, error):
                    began = self._running.pop((phase, host), now - seconds)
                    self._spans.append(Span(phase, host, began, now, error))
