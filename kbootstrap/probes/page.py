"""The report as one HTML file that needs no network, some 100 kB for each ten minutes or hours."""

from dataclasses import dataclass

from kbootstrap.probes import plot
from kbootstrap.probes.plot import Axis, HostBars, Lane
from kbootstrap.probes.report import Report, milliseconds, proofs
from kbootstrap.probes.summary import ProbeSummary, during
from kbootstrap.render.renderer import render

MOST_FAILURES = 400
"""Rows in the table of failures; the JSON report has all."""

MARGIN = 120
"""Left of the axis, for names."""

GAP = 26
"""Between two parts of the drawing."""

MARK_ROWS = 2
MARK_HEIGHT = 13
"""Words of marks are above the plots, those of neighbours in different rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """A probe's line in the table."""

    name: str
    cells: tuple[str, ...]
    failed: bool


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A line in the table of failures."""

    at: str
    probe: str
    after: str
    reason: str
    during: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A part of the drawing, and how far down it is."""

    y: int
    part: Lane | HostBars
    height: int


@dataclass(frozen=True, slots=True)
class PlacedMark:
    """A moment: where it is, and where its words are and towards which side they run."""

    x: float
    y: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows."""

    title: str
    verdict: str
    unnoticed: bool
    started: str
    facts: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    proofs: tuple[str, ...]
    remarks: tuple[str, ...]
    rows: tuple[Row, ...]
    failures: tuple[FailureRow, ...]
    failures_left_out: int
    lanes: tuple[Placed, ...]
    hosts: tuple[Placed, ...]
    replicas: str
    replicas_y: int
    replicas_most: int
    replicas_budget_y: float
    marks: tuple[PlacedMark, ...]
    ticks: tuple[tuple[float, str], ...]
    grid: tuple[tuple[float, str], ...]
    height: int
    seconds: float
    prober: str
    width: int = plot.WIDTH
    margin: int = MARGIN
    lane_height: int = plot.HEIGHT
    replicas_height: int = plot.REPLICAS_HEIGHT
    bar_height: int = plot.BAR_HEIGHT


def html(report: Report) -> bytes:
    """The whole file."""
    seen, summary = report.seen, report.summary
    axis = Axis(seen.began, seen.ended)
    top = GAP + MARK_ROWS * MARK_HEIGHT if seen.marks else GAP
    lanes, y = _stacked([(plot.lane(track, axis), plot.HEIGHT) for track in seen.samples.tracks], GAP, top)
    replicas_y = y
    most = max([1, seen.replicas_wanted, *(count for _, count in seen.samples.census)])
    replicas = plot.replicas(seen, axis, most)
    y += plot.REPLICAS_HEIGHT + GAP if replicas else 0
    hosts, y = _stacked([(part, part.rows * (plot.BAR_HEIGHT + 3)) for part in plot.bars(seen.spans, axis)], 8, y)
    failures = _failures(report)
    page = Page(
        title=report.title,
        verdict=report.verdict,
        unnoticed=summary.unnoticed,
        started=f"{seen.started:%Y-%m-%d %H:%M:%S} UTC",
        facts=report.facts,
        problems=summary.problems,
        proofs=tuple(proofs(summary)),
        remarks=summary.remarks,
        rows=tuple(_row(probe) for probe in summary.probes),
        failures=tuple(failures[:MOST_FAILURES]),
        failures_left_out=max(0, len(failures) - MOST_FAILURES),
        lanes=lanes,
        hosts=hosts,
        replicas=replicas,
        replicas_y=replicas_y,
        replicas_most=most,
        replicas_budget_y=round(plot.REPLICAS_HEIGHT * (1 - seen.replicas_wanted / most), 1),
        marks=tuple(_mark(axis.x(mark.at), mark.text, number) for number, mark in enumerate(seen.marks)),
        ticks=tuple(axis.ticks),
        grid=tuple((plot.height_of(seconds), label) for seconds, label in plot.GRID),
        height=y + GAP,
        seconds=round(summary.seconds, 3),
        prober=f"{summary.account.cpu:.0%} of a core, at most {milliseconds(summary.account.late)} behind its grid",
    )
    return render("probes/report.html.j2", page)


def _stacked(
    parts: list[tuple[Lane, int]] | list[tuple[HostBars, int]], gap: int, y: int
) -> tuple[tuple[Placed, ...], int]:
    """The parts below one another, and where the next would be."""
    placed = []
    for part, height in parts:
        placed.append(Placed(y, part, height))
        y += height + gap
    return tuple(placed), y


def _mark(x: float, text: str, number: int) -> PlacedMark:
    y = GAP + number % MARK_ROWS * MARK_HEIGHT
    return PlacedMark(x, y, text, "start" if x < plot.WIDTH * 0.7 else "end")


def _row(probe: ProbeSummary) -> Row:
    latencies = (probe.median, probe.p99, probe.longest, probe.silence)
    return Row(
        probe.name,
        (
            f"{probe.requests:,}",
            f"{probe.failed:,}",
            f"{probe.moved:,}",
            *(milliseconds(value) for value in latencies),
            f"{probe.outage:.2f} s" if probe.outages else "none",
        ),
        bool(probe.failed),
    )


def _failures(report: Report) -> list[FailureRow]:
    """Of all probes, in the order of time."""
    seen = report.seen
    found = sorted(
        ((failure, probe.name) for probe in report.summary.probes for failure in probe.failures),
        key=lambda pair: pair[0].began,
    )
    return [
        FailureRow(
            at=f"{failure.began - seen.began:.3f} s",
            probe=name,
            after=milliseconds(failure.seconds),
            reason=failure.reason,
            during=", ".join(f"{span.host}: {span.phase}" for span in during(seen.spans, failure.began)),
        )
        for failure, name in found
    ]
