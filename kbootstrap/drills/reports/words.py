"""What drills found, in words: the same ones in every report."""

from collections.abc import Sequence

from kbootstrap.drills.result import DrillResult, Limit, Measured, Verdict

EXACT_SECONDS = 10.0
"""From here on tenths of a second say enough."""


def duration(seconds: float | None) -> str:
    """Seconds for people."""
    if seconds is None:
        return "-"
    return f"{seconds:.2f} s" if seconds < EXACT_SECONDS else f"{seconds:.1f} s"


def allowed(limit: Limit) -> str:
    """A line of a budget for people."""
    if limit.is_demand:
        return "always"
    return "none" if limit.probes and not limit.seconds else f"{limit.seconds:g} s"


def found(measured: Measured) -> str:
    """What was measured for a limit, for people."""
    if measured.limit.is_demand:
        return "yes" if measured.within else "no"
    if measured.seconds is None:
        return "not while it was watched"
    if measured.limit.probes and not measured.seconds:
        return "no outage"
    return duration(measured.seconds)


def lost(result: DrillResult) -> int:
    """How many acknowledged writes are missing that should be there, where most are."""
    if result.seen is None:
        return 0
    return max(0, *(len(reading.lost) - result.excused for reading in result.seen.ledgers))


def tally(results: Sequence[DrillResult]) -> str:
    """How many of the drills ended in which way."""
    if len(results) == 1:
        return str(results[0].verdict)
    counts = {verdict: sum(result.verdict is verdict for result in results) for verdict in Verdict}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "no drill was run"


def ledger_sentence(results: Sequence[DrillResult]) -> str:
    """What became of all acknowledged writes of all drills; empty when none was looked for."""
    readings = [reading for result in results if result.seen for reading in result.seen.ledgers]
    if not readings:
        return ""
    missing = sum(lost(result) for result in results)
    if missing:
        return f"{missing:,} acknowledged writes are lost"
    unread = next((reading for reading in readings if reading.problem), None)
    if unread:
        return f"whether acknowledged writes are lost is not known: {unread.where}: {unread.problem}"
    writes = sum(max((one.acknowledged for one in result.seen.ledgers), default=0) for result in results if result.seen)
    younger = sum(result.excused for result in results)
    but = f", but {younger:,} that were younger than the backup that was restored" if younger else ""
    return f"no acknowledged write of {writes:,} is lost{but}"
