"""A time line, placed: the probes' parts, the replicas, the phases on hosts, and moments as lines over all of them.

Every report that shows probes draws it, with templates/report/drawing.html.j2. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from kbootstrap.probes import plot
from kbootstrap.probes.plot import Axis, HostBars, Lane
from kbootstrap.probes.recording import Observation
from kbootstrap.probes.samples import Samples, Track
from kbootstrap.probes.summary import ProbeSummary, interval

MARGIN = 120
"""Left of the axis, for names: at least."""

NAME_LETTER = 7.0
"""Width of a letter of these names."""

GAP = 26
"""Between two parts of the drawing."""

MARK_HEIGHT = 13
"""Words of moments are above the plots, those of neighbours in different rows."""

MARK_LETTER = 6.0
"""Width of a letter of these words."""

RUNS_LEFT = 0.7
"""The words of moments right of this share of the axis run to the left."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened at a time; `tone` is `good`, `bad` or nothing."""

    at: float
    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """A part of the drawing, and how far down it is."""

    y: int
    part: Lane | HostBars
    height: int


@dataclass(frozen=True, slots=True)
class PlacedMoment:
    """A moment: where it is, and where its words are and towards which side they run."""

    x: float
    row: int
    text: str
    anchor: str
    tone: str

    @property
    def y(self) -> int:
        return GAP + self.row * MARK_HEIGHT

    @property
    def extent(self) -> tuple[float, float]:
        """From where to where the words are."""
        width = len(self.text) * MARK_LETTER + 8
        return (self.x, self.x + width) if self.anchor == "start" else (self.x - width, self.x)


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the template draws. `began` is where the axis begins, in seconds from its zero."""

    lanes: tuple[Placed, ...]
    hosts: tuple[Placed, ...]
    replicas: str
    replicas_y: int
    replicas_most: int
    replicas_budget_y: float
    moments: tuple[PlacedMoment, ...]
    ticks: tuple[tuple[float, str], ...]
    height: int
    began: float
    seconds: float
    margin: int
    grid: tuple[tuple[float, str], ...] = tuple((plot.height_of(seconds), label) for seconds, label in plot.GRID)
    width: int = plot.WIDTH
    lane_height: int = plot.HEIGHT
    replicas_height: int = plot.REPLICAS_HEIGHT
    bar_height: int = plot.BAR_HEIGHT

    @classmethod
    def of(
        cls,
        seen: Observation,
        probes: Sequence[ProbeSummary],
        moments: Sequence[Moment],
        zero: float | None = None,
    ) -> Self:
        """All of an observation; times on the axis are counted from `zero`, by default its beginning."""
        column = max(plot.COLUMN_SECONDS, plot.COLUMN_REQUESTS * (interval(seen.samples) or 0.0))
        axis = Axis(seen.began, seen.ended, seen.began if zero is None else zero, column)
        placed = _moments(moments, axis)
        top = GAP + (max(moment.row for moment in placed) + 1) * MARK_HEIGHT if placed else GAP
        outages = {probe.name: probe.outages for probe in probes}
        lanes, y = _stacked(
            [(plot.lane(track, axis, outages[track.name]), plot.HEIGHT) for track in seen.samples.tracks], GAP, top
        )
        replicas_y = y
        most = max([1, seen.replicas_wanted, *(count for _, count in seen.samples.census)])
        replicas = plot.replicas(seen, axis, most)
        y += plot.REPLICAS_HEIGHT + GAP if replicas else 0
        hosts, y = _stacked([(part, part.rows * (plot.BAR_HEIGHT + 3)) for part in plot.bars(seen.spans, axis)], 8, y)
        longest = max((len(track.name) for track in seen.samples.tracks), default=0)
        return cls(
            lanes=lanes,
            hosts=hosts,
            replicas=replicas,
            replicas_y=replicas_y,
            replicas_most=most,
            replicas_budget_y=round(plot.REPLICAS_HEIGHT * (1 - seen.replicas_wanted / most), 1),
            moments=placed,
            ticks=tuple(axis.ticks),
            height=y + GAP,
            began=round(axis.began - axis.zero, 3),
            seconds=round(axis.ended - axis.began, 3),
            margin=max(MARGIN, round(longest * NAME_LETTER) + MARK_HEIGHT),
        )


def cropped(seen: Observation, began: float, ended: float) -> Observation:
    """What was seen from `began` to `ended`."""
    before = [count for at, count in seen.samples.census if at < began]
    census = [(at, count) for at, count in seen.samples.census if began <= at <= ended]
    return replace(
        seen,
        began=began,
        ended=ended,
        samples=Samples(
            [_cropped(track, began, ended) for track in seen.samples.tracks],
            [*((began, count) for count in before[-1:]), *census],
        ),
        spans=tuple(span for span in seen.spans if span.ended >= began and span.began <= ended),
    )


def _cropped(track: Track, began: float, ended: float) -> Track:
    good = [place for place, at in enumerate(track.began) if began <= at <= ended]
    part = Track(track.name, highest=track.highest)
    part.serials.extend(track.serials[place] for place in good)
    part.began.extend(track.began[place] for place in good)
    part.seconds.extend(track.seconds[place] for place in good)
    part.failures.extend(failure for failure in track.failures if began <= failure.began <= ended)
    part.moves.extend(move for move in track.moves if began <= move.began <= ended)
    return part


def _stacked(
    parts: list[tuple[Lane, int]] | list[tuple[HostBars, int]], gap: int, y: int
) -> tuple[tuple[Placed, ...], int]:
    """The parts below one another, and where the next would be."""
    placed = []
    for part, height in parts:
        placed.append(Placed(y, part, height))
        y += height + gap
    return tuple(placed), y


def _moments(moments: Sequence[Moment], axis: Axis) -> tuple[PlacedMoment, ...]:
    """Each in the first row where its words cover no others."""
    placed: list[PlacedMoment] = []
    for moment in sorted(moments, key=lambda moment: moment.at):
        if not axis.began <= moment.at <= axis.ended:
            continue
        x = axis.x(moment.at)
        anchor = "start" if x < plot.WIDTH * RUNS_LEFT else "end"
        rows = (PlacedMoment(x, row, moment.text, anchor, moment.tone) for row in range(len(moments)))
        placed.append(next(one for one in rows if not any(_overlap(one, other) for other in placed)))
    return tuple(placed)


def _overlap(one: PlacedMoment, other: PlacedMoment) -> bool:
    (left, right), (other_left, other_right) = one.extent, other.extent
    return one.row == other.row and left < other_right and other_left < right
