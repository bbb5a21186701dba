"""Drills over many runs, for a terminal and for machines."""

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from kbootstrap.drills.history import Availability, DrillHistory, Rates, finished, middle, spread, together
from kbootstrap.drills.reports.terminal import MARKS
from kbootstrap.drills.reports.words import duration
from kbootstrap.drills.result import DrillResult, Verdict

UNENDED = "did not end"


def terminal(found: Sequence[DrillHistory], rates: Rates) -> RenderableType:
    """A table of the drills, and what all of them together allow."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("drill", "passed", "last run"):
        table.add_column(title, no_wrap=True)
    for title in ("outage: median", "worst", "spread", "steady again", "faults a year", "available", "nines"):
        table.add_column(title, justify="right")
    for one in found:
        table.add_row(*_row(one, rates))
    return Group(table, _together(found, rates))


def _row(one: DrillHistory, rates: Rates) -> tuple[str, ...]:
    outages, last = one.outages, one.last
    passed = sum(result.verdict is Verdict.PASSED for result in one.results)
    available = one.availability(rates.of(one.drill))
    return (
        f"{MARKS[last.verdict]} {escape(one.drill)}",
        f"{passed} of {len(one.results)}",
        escape(last.run),
        _seconds(middle(outages)),
        _seconds(max(outages, default=None)),
        _seconds(spread(outages)),
        duration(middle(one.recoveries)),
        f"{rates.of(one.drill):g}",
        percent(available) if available else "-",
        _nines(available) if available else "-",
    )


def _seconds(seconds: float | None) -> str:
    return UNENDED if seconds is not None and math.isinf(seconds) else duration(seconds)


def percent(available: Availability) -> str:
    """With as many digits as are certain, never rounded up."""
    digits = max(2, math.floor(available.nines))
    return f"{math.floor((1 - available.missing) * 100 * 10**digits) / 10**digits:.{digits}f} %"


def _nines(available: Availability) -> str:
    return f"{math.floor(available.nines * 10) / 10:.1f}"


def _together(found: Sequence[DrillHistory], rates: Rates) -> str:
    all_of_them = together(found, rates)
    if all_of_them is None:
        return "[yellow]No outage of requests was measured to the end.[/]"
    if math.isinf(all_of_them.mttr):
        return f"[red]An outage {UNENDED} while it was watched: what it allows is not known.[/]"
    return (
        f"All of these faults, each as often as it says: MTTF {all_of_them.mttf / 86_400:.1f} d, MTTR"
        f" {duration(all_of_them.mttr)}, availability [bold]{percent(all_of_them)}[/] ({_nines(all_of_them)} nines),"
        f" {duration(all_of_them.seconds_a_year)} a year without service."
    )


def as_value(found: Sequence[DrillHistory], rates: Rates) -> dict[str, Any]:
    """For JSON: what is not known, or did not end, is null."""
    return {
        "drills": [_drill_value(one, rates) for one in found],
        "together": _availability_value(together(found, rates)),
    }


def _drill_value(one: DrillHistory, rates: Rates) -> dict[str, Any]:
    outages = one.outages
    return {
        "drill": one.drill,
        "runs": [_run_value(result) for result in one.results],
        "passed": sum(result.verdict is Verdict.PASSED for result in one.results),
        "outage": {
            "median": _finite(middle(outages)),
            "worst": _finite(max(outages, default=None)),
            "spread": _finite(spread(outages)),
        },
        "recovery": {"median": middle(one.recoveries), "worst": max(one.recoveries, default=None)},
        "faults_per_year": rates.of(one.drill),
        "availability": _availability_value(one.availability(rates.of(one.drill))),
    }


def _run_value(result: DrillResult) -> dict[str, Any]:
    return {
        "run": result.run,
        "began": result.began.isoformat(timespec="seconds"),
        "verdict": str(result.verdict),
        "outage": _finite(result.outage) if finished(result) else None,
        "recovery": result.recovery,
        "problems": list(result.problems),
    }


def _availability_value(available: Availability | None) -> dict[str, float] | None:
    if available is None or math.isinf(available.mttr):
        return None
    return {
        "mttf_seconds": available.mttf,
        "mttr_seconds": available.mttr,
        "availability": available.share,
        "nines": available.nines,
        "seconds_a_year": available.seconds_a_year,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
