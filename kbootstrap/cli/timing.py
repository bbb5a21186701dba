"""Where the time of a run went: per phase, from its first start to its last end, and its slowest host."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from kbootstrap.cli.console import watching
from kbootstrap.events import Event, PhaseFinished, PhaseStarted, Sink


@dataclass(slots=True)
class _Span:
    began: float
    ended: float = 0.0
    slowest: str = ""
    seconds: float = 0.0
    changes: int = 0
    hosts: int = 0


@dataclass(slots=True)
class Timings:
    """Collects events; `table` shows them."""

    _origin: float = field(default_factory=time.monotonic)
    _spans: dict[str, _Span] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, event: Event) -> None:
        """Takes an event in; called from many threads."""
        now = time.monotonic() - self._origin
        with self._lock:
            match event:
                case PhaseStarted(phase, _):
                    self._spans.setdefault(phase, _Span(now))
                case PhaseFinished():
                    span = self._spans[event.phase]
                    span.ended = now
                    span.changes += event.changes
                    span.hosts += 1
                    if event.seconds >= span.seconds:
                        span.slowest, span.seconds = event.host, event.seconds

    def table(self) -> Table:
        """One line per phase, in the order in which they began."""
        table = Table("phase", "from", "to", "hosts", "changes", "slowest host", box=None, header_style="dim")
        for phase, span in self._spans.items():
            table.add_row(
                phase,
                f"{span.began:.1f} s",
                f"{span.ended:.1f} s",
                str(span.hosts),
                str(span.changes),
                f"{span.slowest} {span.seconds:.1f} s",
            )
        return table


@contextmanager
def timed(
    console: Console, *, json_lines: bool = False, verbose: bool = False, timings: Timings | None = None
) -> Iterator[tuple[Sink, Timings]]:
    """Shows what happens, as `watching` does, and notes where the time goes (in `timings`, to go on with them)."""
    timings = timings or Timings()
    with watching(console, json_lines=json_lines, verbose=verbose) as show:

        def emit(event: Event) -> None:
            timings.note(event)
            show(event)

        yield emit, timings
