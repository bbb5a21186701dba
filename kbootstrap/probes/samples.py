"""Samples as the prober writes them, a line of JSON each, and as they are kept in memory.

A request is `[probe, serial, began, seconds]`, and, unless it was simply good, `, error, moved, maybe]` (see
`exchange.Outcome`); a look at the replicas is `["ready", at, count]`. Times are seconds of CLOCK_MONOTONIC, which all
processes of a machine share.
"""

import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kbootstrap.probes.exchange import Outcome

CENSUS = "ready"
SEEN = "seen"
CUT = "cut"


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed. `maybe`: it may have been carried out nevertheless."""

    serial: int
    began: float
    seconds: float
    reason: str
    maybe: bool


@dataclass(frozen=True, slots=True)
class Move:
    """A request that a client sends a second time without a word to its user, and why."""

    serial: int
    began: float
    seconds: float
    reason: str


@dataclass(slots=True)
class Track:
    """All requests of a probe: the good ones as arrays side by side, which costs 20 bytes each."""

    name: str
    serials: "array[int]" = field(default_factory=lambda: array("I"))
    began: "array[float]" = field(default_factory=lambda: array("d"))
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    failures: list[Failure] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    highest: int = -1
    """The highest serial number that has been seen."""

    @property
    def requests(self) -> int:
        return len(self.began) + len(self.failures)


@dataclass(slots=True)
class Samples:
    """Everything that a prober has written."""

    tracks: list[Track]
    census: list[tuple[float, int]] = field(default_factory=list)
    """When was looked, and how many replicas were ready."""
    seen: dict[str, float] = field(default_factory=dict)
    """When the watch has told of each object."""
    cuts: list[tuple[float, str]] = field(default_factory=list)
    """When the watch broke, and why."""


def sample_line(probe: int, serial: int, began: float, seconds: float, outcome: Outcome) -> str:
    """How a request of probe number `probe` fared."""
    line = f"[{probe},{serial},{began:.6f},{seconds:.6f}"
    if not (outcome.error or outcome.moved):
        return f"{line}]\n"
    return f"{line},{json.dumps(outcome.error)},{json.dumps(outcome.moved)},{int(outcome.maybe)}]\n"


def census_line(at: float, count: int) -> str:
    """A look at the replicas."""
    return f'["{CENSUS}",{at:.6f},{count}]\n'


def seen_line(at: float, name: str) -> str:
    """The watch has told of an object."""
    return f'["{SEEN}",{at:.6f},{json.dumps(name)}]\n'


def cut_line(at: float, reason: str) -> str:
    """The watch broke."""
    return f'["{CUT}",{at:.6f},{json.dumps(reason)}]\n'


def read_samples(names: Iterable[str], lines: Iterable[str]) -> Samples:
    """The samples of probes of these names; a last line that is not whole yet is left out."""
    samples = Samples([Track(name) for name in names])
    for line in lines:
        if not line.endswith("\n"):
            break
        kind, *values = json.loads(line)
        if kind == CENSUS:
            samples.census.append((values[0], values[1]))
        elif kind == SEEN:
            samples.seen.setdefault(values[1], values[0])
        elif kind == CUT:
            samples.cuts.append((values[0], values[1]))
        else:
            _add(samples.tracks[kind], *values)
    return samples


def sample_lines(samples: Samples) -> Iterator[str]:
    """What reads as these samples."""
    for number, track in enumerate(samples.tracks):
        moved = {move.serial: move.reason for move in track.moves}
        for serial, began, seconds in zip(track.serials, track.began, track.seconds, strict=True):
            yield sample_line(number, serial, began, seconds, Outcome(moved=moved.get(serial, "")))
        for failure in track.failures:
            outcome = Outcome(failure.reason, moved.get(failure.serial, ""), failure.maybe)
            yield sample_line(number, failure.serial, failure.began, failure.seconds, outcome)
    for at, count in samples.census:
        yield census_line(at, count)
    for name, at in samples.seen.items():
        yield seen_line(at, name)
    for at, reason in samples.cuts:
        yield cut_line(at, reason)


def _add(
    track: Track, serial: int, began: float, seconds: float, error: str = "", moved: str = "", maybe: int = 0
) -> None:
    track.highest = max(track.highest, serial)
    if moved:
        track.moves.append(Move(serial, began, seconds, moved))
    if error:
        track.failures.append(Failure(serial, began, seconds, error, bool(maybe)))
    else:
        track.serials.append(serial)
        track.began.append(began)
        track.seconds.append(seconds)
