"""What drills found as one HTML file that needs no network, some 150 kB for each drill."""

from collections.abc import Sequence
from dataclasses import dataclass

from kbootstrap.drills.reports.words import allowed, duration, found, ledger_sentence, lost, tally
from kbootstrap.drills.result import DrillResult, Jitter, Kind, Measured, Verdict
from kbootstrap.drills.result import Moment as Told
from kbootstrap.drills.value import since_began
from kbootstrap.probes.drawing import Drawing, Moment, cropped
from kbootstrap.probes.ledger import Verdict as Reading
from kbootstrap.probes.page import Row, prober_words, row_of
from kbootstrap.probes.recording import Observation
from kbootstrap.probes.report import milliseconds, reasons
from kbootstrap.probes.summary import ProbeSummary, summarize
from kbootstrap.render.renderer import render

BEFORE, AFTER = 2.0, 3.0
"""Seconds before the fault, and after what it led to, that the close view shows."""

CLOSE_SECONDS = 10.0
"""The close view shows as many at least."""

SHARE = 0.7
"""The close view is left out where it would be most of the whole one."""

TONES = {
    Kind.FAULT: "bad",
    Kind.DETECTED: "",
    Kind.VIP_MOVED: "",
    Kind.LEADER: "",
    Kind.SERVING: "good",
    Kind.RECOVER: "",
    Kind.STEADY_AGAIN: "good",
}
"""Moments that are lines in the drawings, and their colours; the others are in the table only."""

TOGETHER_SECONDS = 3.0
"""What hosts tell in the same words is one thing when no more time is between."""

RESPONSES = (Kind.FAULT, Kind.DETECTED, Kind.VIP_MOVED, Kind.LEADER, Kind.SERVING)
"""Moments that the close view is about."""


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A line of the budget; `share` is how much of it was used, in percent and at most 100."""

    what: str
    found: str
    allowed: str
    detail: str
    share: int
    within: bool


@dataclass(frozen=True, slots=True)
class MomentRow:
    """A line of the time line; `at` is counted from the fault."""

    at: str
    kind: str
    tone: str
    text: str
    host: str


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What a place knows of the writes."""

    where: str
    cells: tuple[str, ...]
    verdict: str
    good: bool


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """Why requests of a probe failed."""

    probe: str
    reason: str
    count: str
    first: str


@dataclass(frozen=True, slots=True)
class Part:
    """One drill."""

    anchor: str
    drill: str
    title: str
    verdict: str
    tone: str
    began: str
    facts: tuple[tuple[str, str], ...]
    limits: tuple[LimitRow, ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    moments: tuple[MomentRow, ...]
    close: Drawing | None
    whole: Drawing | None
    rows: tuple[Row, ...]
    reasons: tuple[ReasonRow, ...]
    jitter: tuple[tuple[str, ...], ...]
    ledger: tuple[LedgerRow, ...]
    setting: tuple[tuple[str, str], ...]
    prober: str


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows."""

    title: str
    subtitle: str
    good: bool
    verdict: str
    setting: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]


def html(results: Sequence[DrillResult]) -> bytes:
    """The whole file."""
    shared = _shared([result for result in results if result.setting])
    single = results[0] if len(results) == 1 else None
    cluster = ", ".join(dict.fromkeys(result.cluster for result in results))
    run, *others = dict.fromkeys(result.series or result.run for result in results)
    runs = f"run {run}{f' and {len(others)} more' if others else ''}"
    seconds = sum(result.seconds for result in results)
    page = Page(
        title=f"{single.title} · {cluster}" if single else f"Failover drills · {cluster}",
        subtitle=f"{min(result.began for result in results):%Y-%m-%d %H:%M:%S} UTC · {_minutes(seconds)} · {runs}",
        good=all(result.verdict is Verdict.PASSED for result in results),
        verdict="; ".join(filter(None, (tally(results), ledger_sentence(results)))),
        setting=tuple(shared.items()),
        parts=tuple(_part(since_began(result), number, shared) for number, result in enumerate(results)),
    )
    return render("drills/report.html.j2", page)


def _shared(results: Sequence[DrillResult]) -> dict[str, str]:
    """The settings that are the same for all drills."""
    if not results:
        return {}
    return {
        name: value
        for name, value in results[0].setting.items()
        if all(result.setting.get(name) == value for result in results)
    }


def _minutes(seconds: float) -> str:
    return duration(seconds) if seconds < 120 else f"{seconds / 60:.0f} min"


def _part(result: DrillResult, number: int, shared: dict[str, str]) -> Part:
    seen = result.seen
    probes = summarize(seen).probes if seen else ()
    fault = next((moment.at for moment in result.moments if moment.kind is Kind.FAULT), None)
    zero = fault or 0.0
    facts = (
        ("hurt", ", ".join(result.hosts)),
        ("steady again after", duration(result.recovery) if result.recovery is not None else ""),
        ("took", duration(result.seconds)),
    )
    return Part(
        anchor=f"drill-{number}",
        drill=result.drill,
        title=result.title,
        verdict=str(result.verdict),
        tone={Verdict.PASSED: "good", Verdict.FAILED: "bad"}.get(result.verdict, "odd"),
        began=f"{result.began:%H:%M:%S}",
        facts=tuple((name, value) for name, value in facts if value),
        limits=tuple(map(_limit, result.measured)),
        problems=result.problems,
        remarks=(*result.remarks, *result.notes),
        moments=tuple(
            MomentRow(_since(moment.at - zero), str(moment.kind), TONES.get(moment.kind, ""), moment.text, moment.host)
            for moment in sorted(result.moments, key=lambda moment: moment.at)
        ),
        close=_close(result, seen, probes, fault) if seen and fault is not None else None,
        whole=Drawing.of(seen, probes, _lines(result), zero) if seen and probes else None,
        rows=tuple(map(row_of, probes)),
        reasons=tuple(row for probe in probes for row in _reasons(probe, zero)),
        jitter=tuple(map(_jitter, result.jitter)),
        ledger=tuple(
            _ledger(reading, allowed=bool(result.excused) and not lost(result))
            for reading in (seen.ledgers if seen else ())
        ),
        setting=tuple((name, value) for name, value in result.setting.items() if name not in shared),
        prober=prober_words(seen.account) if seen and probes else "",
    )


def _since(seconds: float) -> str:
    return f"{round(seconds, 2) + 0.0:+.2f} s"  # no minus before a zero


def _limit(measured: Measured) -> LimitRow:
    limit, seconds = measured.limit, measured.seconds
    used = 100.0 if seconds is None or (not limit.seconds and seconds) else 100 * seconds / (limit.seconds or 1)
    return LimitRow(
        limit.what, found(measured), allowed(limit), measured.detail, round(min(used, 100)), measured.within
    )


def _lines(result: DrillResult) -> list[Moment]:
    """The moments that are drawn: who noticed first; and what several hosts tell at about the same time, once."""
    groups: list[list[Told]] = []
    for moment in sorted(result.moments, key=lambda moment: moment.at):
        same = next((group for group in groups if _same(group[-1], moment)), None)
        if same is not None:
            same.append(moment)
        elif moment.kind in TONES:
            groups.append([moment])
    return [Moment(group[0].at, _label(group), TONES[group[0].kind]) for group in groups]


def _same(earlier: Told, later: Told) -> bool:
    if earlier.kind is Kind.DETECTED:
        return later.kind is Kind.DETECTED
    return (earlier.kind, earlier.text) == (later.kind, later.text) and later.at - earlier.at < TOGETHER_SECONDS


def _label(told: Sequence[Told]) -> str:
    first = told[0]
    words = first.text if first.kind is Kind.LEADER else str(first.kind)
    alone = first.kind is Kind.DETECTED or len({moment.host for moment in told}) == 1
    return f"{words} ({first.host})" if first.host and alone else words


def _close(result: DrillResult, seen: Observation, probes: Sequence[ProbeSummary], fault: float) -> Drawing | None:
    """The fault and what it led to until it was undone; None where that is nearly all that was seen."""
    undone = next((moment.at for moment in result.moments if moment.kind is Kind.RECOVER), seen.ended)
    answered = [outage.ended for probe in probes for outage in probe.outages if outage.began < undone]
    led_to = [moment.at for moment in result.moments if moment.kind in RESPONSES and moment.at < undone]
    began = max(seen.began, fault - BEFORE)
    ended = min(seen.ended, max([began + CLOSE_SECONDS, *(at + AFTER for at in (*answered, *led_to))]))
    if not probes or ended - began > SHARE * (seen.ended - seen.began):
        return None
    return Drawing.of(cropped(seen, began, ended), probes, _lines(result), fault)


def _reasons(probe: ProbeSummary, zero: float) -> list[ReasonRow]:
    return [
        ReasonRow(probe.name, reason, f"{count:,}", _since(first - zero)) for reason, count, first in reasons(probe)
    ]


def _jitter(jitter: Jitter) -> tuple[str, ...]:
    return (jitter.probe, *map(milliseconds, (jitter.median, jitter.p99, jitter.longest)))


def _ledger(reading: Reading, *, allowed: bool) -> LedgerRow:
    counts = (reading.acknowledged, len(reading.lost), reading.failed, len(reading.unexpected), reading.unknown)
    if reading.problem:
        verdict = f"not read: {reading.problem}"
    elif reading.lost:
        verdict = "only what is younger than the backup is gone" if allowed else "lost: " + ", ".join(reading.lost[:3])
    else:
        verdict = "all there"
    cells = (*(f"{count:,}" for count in counts), f"{reading.unknown_present:,}")
    return LedgerRow(reading.where, cells, verdict, reading.good or (allowed and not reading.problem))
