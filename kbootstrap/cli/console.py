"""Event sinks: live progress for people, plain lines where there is no terminal, JSON lines for machines."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from kbootstrap.events import ChangeMade, Event, Note, PhaseFinished, PhaseStarted, Progress, Sink

REFRESH_PER_SECOND = 8


def as_json(event: Event) -> str:
    """One event as a line of JSON."""
    return json.dumps({"event": type(event).__name__, **asdict(event)})


@contextmanager
def watching(console: Console, *, json_lines: bool = False, verbose: bool = False) -> Iterator[Sink]:
    """The sink that fits the console."""
    if json_lines:
        lock = threading.Lock()

        def print_json(event: Event) -> None:
            with lock:
                console.out(as_json(event), highlight=False)

        yield print_json
    elif console.is_terminal:
        screen = _Screen(console, verbose)
        with Live(
            get_renderable=screen.table,
            console=console,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
        ):
            yield screen.show
    else:
        yield _Screen(console, verbose).show


class _Screen:
    """What goes on now, as a table; what has ended, as lines above it."""

    def __init__(self, console: Console, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], tuple[float, str]] = {}
        self._progress: dict[str, Progress] = {}

    def show(self, event: Event) -> None:
        """Takes an event in; called from many threads."""
        with self._lock:
            line = self._take(event)
        if line is not None:
            self._console.print(line, highlight=False, soft_wrap=True)

    def _take(self, event: Event) -> str | None:
        match event:
            case PhaseStarted(phase, host):
                self._running[(phase, host)] = (time.monotonic(), "")
            case ChangeMade(phase, host, title):
                self._running[(phase, host)] = (self._running[(phase, host)][0], title)
                if self._verbose:
                    return f"[dim]{escape(host):>12} {phase}: {escape(title)}[/]"
            case PhaseFinished():
                self._running.pop((event.phase, event.host), None)
                return _finished_line(event)
            case Progress():
                return self._advance(event)
            case Note(text, host, level):
                style = "yellow" if level == "warning" else "dim"
                return f"[{style}]{escape(host + ': ' if host else '')}{escape(text)}[/]"
        return None

    def _advance(self, event: Progress) -> str | None:
        if event.total is not None and event.done >= event.total:
            self._progress.pop(event.subject, None)
        else:
            self._progress[event.subject] = event
        return None

    def table(self) -> Table:
        """What goes on now."""
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for (phase, host), (since, title) in list(self._running.items()):
                table.add_row(
                    f"[cyan]{escape(host)}[/]",
                    phase,
                    f"{time.monotonic() - since:5.1f} s",
                    f"[dim]{escape(title)}[/]",
                )
            for progress in list(self._progress.values()):
                table.add_row("", escape(progress.subject), _amount(progress), "")
        return table


def _finished_line(event: PhaseFinished) -> str:
    mark = "[red]✗[/]" if event.error else "[green]✓[/]"
    said = f"[red]{escape(event.error)}[/]" if event.error else f"{event.changes} changes"
    return f"{mark} {escape(event.host):<12} {event.phase:<14} {event.seconds:6.1f} s  {said}"


def _amount(progress: Progress) -> str:
    if progress.unit == "bytes":
        total = f" / {progress.total / 1e6:,.0f} MB" if progress.total else " MB"
        return f"{progress.done / 1e6:,.0f}{total}"
    return f"{progress.done:.0f}" + (f" / {progress.total:.0f}" if progress.total else "")
