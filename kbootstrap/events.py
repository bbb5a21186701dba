"""What happens during a run, as values. Sinks (terminal, JSON lines, journal) decide what becomes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase begins on a host."""

    phase: str
    host: str


@dataclass(frozen=True, slots=True)
class PhaseFinished:
    """A phase ended on a host after `seconds`; `changes` is how many it made; `error` is set if it failed."""

    phase: str
    host: str
    seconds: float
    changes: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeMade:
    """One change was made on a host."""

    phase: str
    host: str
    title: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something long has come, e.g. `subject` "kubelet 1.36.4", `done` and `total` in `unit`s."""

    subject: str
    done: float
    total: float | None
    unit: Literal["bytes", "steps"] = "bytes"
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a line for the person who watches."""

    text: str
    host: str | None = None
    level: Literal["info", "warning"] = "info"


Event = PhaseStarted | PhaseFinished | ChangeMade | Progress | Note
Sink = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """A sink for callers who do not want to watch."""
