"""Lines and bars of the report's time line: every pixel column stands for all that began in its time. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kbootstrap.probes.recording import Observation, Span
from kbootstrap.probes.samples import Track
from kbootstrap.probes.summary import Outage, percentile

WIDTH = 1000
"""Of the axis, in columns."""

COLUMN_SECONDS = 0.1
"""The shortest time that is a column: five requests of a probe."""

COLUMN_REQUESTS = 2
"""So many at least, of probes that send more seldom."""

HEIGHT = 72
"""Of a probe's part."""

REPLICAS_HEIGHT = 36
BAR_HEIGHT = 18

FASTEST = 0.0005
SLOWEST = 10.0
"""Seconds at the bottom and the top of the logarithmic scale."""

GRID = ((0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"))

LETTER = 6.2
"""Width of a letter in a bar."""

LEAST_SEEN = 14
"""The height of a failure among many good answers."""

HUES = 8
"""Colours of phases; the template has as many."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From `began` to `ended`, seconds of CLOCK_MONOTONIC; what is written at it is counted from `zero`."""

    began: float
    ended: float
    zero: float
    column_seconds: float = COLUMN_SECONDS

    def x(self, at: float) -> float:
        """Where a moment is; those outside are at the edge."""
        share = (at - self.began) / max(self.ended - self.began, 1e-9)
        return round(min(max(share, 0.0), 1.0) * WIDTH, 1)

    @property
    def step(self) -> int:
        """The width of a column: of a short run, that of its seconds."""
        return max(1, round(WIDTH * self.column_seconds / max(self.ended - self.began, 1e-9)))

    def width(self, x: int) -> int:
        """Of the column whose left edge this is; the last may be narrower."""
        return min(self.step, WIDTH - x)

    def column(self, at: float) -> int:
        """The left edge of the column that a moment falls into."""
        return min(int(self.x(at)), WIDTH - 1) // self.step * self.step

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """About ten, at round times from zero."""
        seconds = self.ended - self.began
        step = next((step for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800) if seconds / step <= 12), 3600)
        first, last = math.ceil((self.began - self.zero) / step), math.floor((self.ended - self.zero) / step)
        return [(self.x(self.zero + at * step), _clock(at * step)) for at in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Band:
    """An outage."""

    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A probe's part: SVG paths of its slowest answers, the median, failures, and moved requests; its outages."""

    name: str
    slowest: str
    median: str
    failures: str
    moves: str
    outages: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A phase on a host."""

    x: float
    width: float
    row: int
    label: str
    title: str
    hue: int
    failed: bool


@dataclass(frozen=True, slots=True)
class HostBars:
    """All phases of a host; those at the same time are in different rows."""

    host: str
    bars: tuple[Bar, ...]
    rows: int


def lane(track: Track, axis: Axis, outages: Sequence[Outage]) -> Lane:
    """A probe's part."""
    columns: dict[int, list[float]] = {}
    for began, seconds in zip(track.began, track.seconds, strict=True):
        columns.setdefault(axis.column(began), []).append(seconds)
    failed = Counter(axis.column(failure.began) for failure in track.failures)
    medians = {x: height_of(percentile(sorted(values), 0.5) or 0.0) for x, values in columns.items()}
    return Lane(
        name=track.name,
        slowest="".join(_column(x, HEIGHT - height_of(max(columns[x])), axis.width(x)) for x in sorted(columns)),
        median=_joined(medians, axis),
        failures="".join(_column(x, _share(failed[x], len(columns.get(x, ()))), axis.width(x)) for x in sorted(failed)),
        moves="".join(f"M{x} 0v6h2v-6z" for x in sorted({axis.column(move.began) for move in track.moves})),
        outages=tuple(_band(one, axis) for one in outages if one.ended >= axis.began and one.began <= axis.ended),
    )


def _band(outage: Outage, axis: Axis) -> Band:
    x = axis.x(outage.began)
    return Band(x, round(max(axis.x(outage.ended) - x, 1.0), 1), f"{outage.failed:,} failed in {outage.seconds:.2f} s")


def replicas(seen: Observation, axis: Axis, most: int) -> str:
    """A path of steps: how many replicas were ready, of `most`."""
    path, last = "", None
    for at, count in sorted(seen.samples.census):
        if count != last:
            level = round(REPLICAS_HEIGHT * (1 - min(count, most) / most), 1)
            path += f"H{axis.x(at)}V{level}" if path else f"M{axis.x(at)} {level}"
            last = count
    return f"{path}H{WIDTH}" if path else ""


def bars(spans: Sequence[Span], axis: Axis) -> list[HostBars]:
    """The phases by host, hosts in the order in which something was first done to them."""
    hues = {phase: number % HUES for number, phase in enumerate(dict.fromkeys(span.phase for span in spans))}
    return [
        _of_host(host, [span for span in spans if span.host == host], axis, hues)
        for host in dict.fromkeys(span.host for span in spans)
    ]


def _of_host(host: str, spans: Sequence[Span], axis: Axis, hues: dict[str, int]) -> HostBars:
    free: list[float] = []
    """When each row is free again."""
    drawn = []
    for span in sorted(spans, key=lambda span: span.began):
        row = next((row for row, until in enumerate(free) if until <= span.began), len(free))
        free[row : row + 1] = [span.ended]
        drawn.append(_bar(span, row, axis, hues[span.phase]))
    return HostBars(host, tuple(drawn), len(free))


def _bar(span: Span, row: int, axis: Axis, hue: int) -> Bar:
    x = axis.x(span.began)
    width = round(max(axis.x(span.ended) - x, 1.0), 1)
    title = f"{span.host}: {span.phase}, {span.ended - span.began:.1f} s"
    return Bar(
        x=x,
        width=width,
        row=row,
        label=span.phase if len(span.phase) * LETTER < width - 4 else "",
        title=f"{title}: {span.error}" if span.error else title,
        hue=hue,
        failed=span.error is not None,
    )


def _column(x: int, height: float, width: int) -> str:
    return f"M{x} {HEIGHT}v-{height:g}h{width}v{height:g}z"


def _joined(points: Mapping[int, float], axis: Axis) -> str:
    """A line through neighbours; a column without a point interrupts it."""
    return "".join(
        f"{'L' if x - axis.step in points else 'M'}{x} {points[x]:g}h{axis.width(x)}" for x in sorted(points)
    )


def height_of(seconds: float) -> float:
    """How far from the top of a probe's part a latency is."""
    bounded = min(max(seconds, FASTEST), SLOWEST)
    return round(HEIGHT * (1 - math.log(bounded / FASTEST) / math.log(SLOWEST / FASTEST)), 1)


def _share(failed: int, good: int) -> int:
    """The height of a column's failures; also a single one of many is seen."""
    return max(LEAST_SEEN, round(HEIGHT * failed / (failed + good)))


def _clock(seconds: int) -> str:
    if seconds < 0:
        return f"−{_clock(-seconds)}"  # noqa: RUF001 - a minus sign
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60}:{seconds % 60:02d}"
