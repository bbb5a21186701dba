"""What was measured: a table for people, JSON for machines."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import kbootstrap
from benchmarks.contest import Outcome, Spread
from benchmarks.peers import versions


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What has a part in the times, and little in the ratios."""

    at: str
    cpus: int
    kernel: str
    load: float
    """Of the minute before: above the number of cores, others' work is in the times."""
    versions: Mapping[str, str]


def surroundings() -> Surroundings:
    """As they are now."""
    return Surroundings(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        cpus=os.cpu_count() or 0,
        kernel=platform.release(),
        load=round(os.getloadavg()[0], 1),
        versions={"kbootstrap": kbootstrap.__version__, **versions()},
    )


def show(around: Surroundings, outcomes: Sequence[Outcome], console: Console) -> None:
    """One table; the first of each group is compared with the others."""
    names = ", ".join(f"{name} {version}" for name, version in around.versions.items())
    console.print(f"{around.at}, {around.cpus} cores, kernel {around.kernel}, load {around.load} at the start; {names}")
    table = Table("", "rounds", "median", "min to max", "MB/s", "the first takes …")
    for column in table.columns[1:5]:
        column.justify = "right"
    for outcome in outcomes:
        table.add_section()
        table.add_row(f"[bold]{escape(outcome.contest.title)}[/]")
        for name, seconds in outcome.seconds.items():
            spread = outcome.spread(name)
            ratio = "" if name == outcome.subject else _ratio(outcome.ratio(name))
            spanned = f"{_time(spread.least)} to {_time(spread.greatest)}"
            table.add_row(
                f"  {escape(name)}", str(len(seconds)), _time(spread.median), spanned, _rate(outcome, spread), ratio
            )
    console.print(table)


def as_json(around: Surroundings, outcomes: Sequence[Outcome]) -> str:
    """Every single value, and what is in the table."""
    return json.dumps({"surroundings": asdict(around), "contests": [_value(outcome) for outcome in outcomes]}, indent=2)


def _value(outcome: Outcome) -> dict[str, object]:
    return {
        "name": outcome.contest.name,
        "title": outcome.contest.title,
        "subject": outcome.subject,
        "repeats": outcome.contest.repeats,
        "megabytes": outcome.contest.megabytes,
        "contenders": [
            {
                "name": name,
                "seconds": seconds,
                **asdict(outcome.spread(name)),
                "subject_to_this": asdict(outcome.ratio(name)),
            }
            for name, seconds in outcome.seconds.items()
        ],
    }


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds:.2f} s"


def _rate(outcome: Outcome, spread: Spread) -> str:
    return f"{outcome.contest.megabytes / spread.median:.0f}" if outcome.contest.megabytes else ""


def _ratio(ratio: Spread) -> str:
    """Three digits above one; below, the reciprocal, which is easier to read than 0.04."""
    return f"{_times(ratio.median)} of this ({_times(ratio.least)} to {_times(ratio.greatest)})"


def _times(ratio: float) -> str:
    return f"{ratio:.2f} x" if ratio >= 1 else f"1/{1 / ratio:.2f}"
