"""The report of a run: as JSON, for a terminal, and as one HTML file (see `page`)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from kbootstrap.probes.recording import Observation
from kbootstrap.probes.summary import ProbeSummary, Summary, during, summarize

SHOWN = 5
"""Reasons of failures that a terminal shows of each probe."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run was about (`facts` are names and values, such as versions), and what it has shown."""

    title: str
    facts: tuple[tuple[str, str], ...]
    seen: Observation
    summary: Summary

    @classmethod
    def of(cls, title: str, facts: Sequence[tuple[str, str]], seen: Observation) -> Self:
        return cls(title, tuple(facts), seen, summarize(seen))

    @property
    def verdict(self) -> str:
        """In a sentence."""
        summary = self.summary
        if summary.unnoticed:
            return f"unnoticed: {summary.requests:,} requests in {summary.seconds:.0f} s, none failed"
        if summary.failed:
            return f"{summary.failed:,} of {summary.requests:,} requests failed in {summary.seconds:.0f} s"
        return f"none of {summary.requests:,} requests failed in {summary.seconds:.0f} s, but {summary.problems[0]}"


def as_json(report: Report) -> str:
    """Everything but the single good requests. Times are in seconds since the beginning."""
    seen, summary = report.seen, report.summary
    value = {
        "kind": "kbootstrap-probes/v1",
        "title": report.title,
        "facts": dict(report.facts),
        "started": seen.started.isoformat(timespec="seconds"),
        "seconds": round(summary.seconds, 3),
        "unnoticed": summary.unnoticed,
        "problems": summary.problems,
        "remarks": summary.remarks,
        "probes": [_probe(probe, seen) for probe in summary.probes],
        "ledgers": [{**asdict(verdict), "good": verdict.good} for verdict in summary.ledgers],
        "replicas": summary.replicas and asdict(summary.replicas),
        "phases": [
            {**asdict(span), "began": round(span.began - seen.began, 3), "ended": round(span.ended - seen.began, 3)}
            for span in seen.spans
        ],
        "marks": [{"at": round(mark.at - seen.began, 3), "text": mark.text} for mark in seen.marks],
        "prober": asdict(summary.account),
    }
    return json.dumps(value, indent=2)


def _probe(probe: ProbeSummary, seen: Observation) -> dict[str, Any]:
    def since(at: float) -> float:
        return round(at - seen.began, 6)

    return {
        "name": probe.name,
        "requests": probe.requests,
        "failed": probe.failed,
        "moved": probe.moved,
        "latency": {"p50": probe.median, "p99": probe.p99, "max": probe.longest},
        "silence": {"seconds": round(probe.silence, 6), "began": since(probe.silence_began)},
        "outages": [
            {"began": since(outage.began), "seconds": round(outage.seconds, 6), "failed": outage.failed}
            for outage in probe.outages
        ],
        "failures": [
            {
                "at": since(failure.began),
                "seconds": failure.seconds,
                "reason": failure.reason,
                "maybe_carried_out": failure.maybe,
                "during": [f"{span.host}: {span.phase}" for span in during(seen.spans, failure.began)],
            }
            for failure in probe.failures
        ],
        "moves": [{"at": since(move.began), "seconds": move.seconds, "reason": move.reason} for move in probe.moves],
    }


def terminal(report: Report) -> RenderableType:
    """A table of the probes and what is worth a line below it."""
    colour = "green" if report.summary.unnoticed else "red"
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column("probe", no_wrap=True)
    for column in ("requests", "failed", "moved", "p50", "p99", "max", "silence", "outage"):
        table.add_column(column, justify="right")
    for probe in report.summary.probes:
        table.add_row(
            escape(probe.name),
            f"{probe.requests:,}",
            f"[red]{probe.failed:,}[/]" if probe.failed else "0",
            f"{probe.moved:,}",
            *(milliseconds(value) for value in (probe.median, probe.p99, probe.longest, probe.silence)),
            f"[red]{probe.outage:.2f} s[/]" if probe.outages else "none",
        )
    return Group(f"[bold {colour}]{escape(report.verdict)}[/]", table, *_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield from (f"[green]{escape(line)}[/]" for line in proofs(report.summary))
    yield from (f"[red]✗ {escape(problem)}[/]" for problem in report.summary.problems)
    yield from (f"[yellow]{escape(remark)}[/]" for remark in report.summary.remarks)
    for probe in report.summary.probes:
        for reason, count, first in reasons(probe)[:SHOWN]:
            yield f"  {escape(probe.name)} at {first - report.seen.began:+.2f} s: {escape(reason)} ({count:,} times)"


def proofs(summary: Summary) -> Iterator[str]:
    """What went well besides the requests, in words."""
    for verdict in summary.ledgers:
        if verdict.good:
            yield f"✓ all {verdict.acknowledged:,} acknowledged writes are in {verdict.where}"
    replicas = summary.replicas
    if replicas and replicas.wanted and replicas.lowest >= replicas.wanted:
        yield f"✓ the application always had {replicas.lowest} ready replicas or more; its budget is {replicas.wanted}"


def reasons(probe: ProbeSummary) -> list[tuple[str, int, float]]:
    """Why requests failed: each reason, how often, and when first; the most frequent first."""
    found: dict[str, list[float]] = {}
    for failure in probe.failures:
        found.setdefault(failure.reason, []).append(failure.began)
    return sorted(((reason, len(times), times[0]) for reason, times in found.items()), key=lambda row: -row[1])


def milliseconds(seconds: float | None) -> str:
    """A latency for people."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"
