"""The report as one HTML file that needs no network, some 100 kB for each ten minutes or hours."""

from dataclasses import dataclass

from kbootstrap.probes.drawing import Drawing, Moment
from kbootstrap.probes.recording import Account
from kbootstrap.probes.report import Report, milliseconds, proofs
from kbootstrap.probes.summary import ProbeSummary, during
from kbootstrap.render.renderer import render

MOST_FAILURES = 400
"""Rows in the table of failures; the JSON report has all."""


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
    drawn: Drawing
    seconds: float
    prober: str


def html(report: Report) -> bytes:
    """The whole file."""
    seen, summary = report.seen, report.summary
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
        rows=tuple(row_of(probe) for probe in summary.probes),
        failures=tuple(failures[:MOST_FAILURES]),
        failures_left_out=max(0, len(failures) - MOST_FAILURES),
        drawn=Drawing.of(seen, summary.probes, [Moment(mark.at, mark.text) for mark in seen.marks]),
        seconds=round(summary.seconds, 3),
        prober=prober_words(summary.account),
    )
    return render("probes/report.html.j2", page)


def prober_words(account: Account) -> str:
    """How the prober fared."""
    return f"{account.cpu:.0%} of a core, at most {milliseconds(account.late)} behind its grid"


def row_of(probe: ProbeSummary) -> Row:
    """A probe in numbers."""
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
