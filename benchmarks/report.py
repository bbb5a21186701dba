"""What was measured: a table for people, JSON for machines."""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
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
    """A table for each contest; its first row is compared with the others."""
    names = ", ".join(f"{name} {version}" for name, version in around.versions.items())
    console.print(f"{around.at}, {around.cpus} cores, kernel {around.kernel}, load {around.load} at the start")
    console.print(names, highlight=False)
    for outcome in outcomes:
        console.print()
        console.print(_table(outcome))


def _table(outcome: Outcome) -> Table:
    rounds = len(outcome.seconds[outcome.subject])
    title = f"{outcome.contest.name}: {outcome.contest.title}, rounds: {rounds}"
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    for heading in ("seconds", "min .. max", "ratio", "min .. max"):
        table.add_column(heading, justify="right", no_wrap=True)
    if outcome.contest.megabytes:
        table.add_column("MB/s", justify="right")
    for name in outcome.seconds:
        took = outcome.spread(name)
        ratio = ("", "") if name == outcome.subject else _columns(outcome.ratio(name), _times)
        rate = (f"{outcome.contest.megabytes / took.median:.0f}",) if outcome.contest.megabytes else ()
        table.add_row(escape(name), *_columns(took, _digits), *ratio, *rate)
    return table


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


def _columns(spread: Spread, text: Callable[[float], str]) -> tuple[str, str]:
    return text(spread.median), f"{text(spread.least)} .. {text(spread.greatest)}"


def _digits(value: float) -> str:
    """Three digits say more than was measured already."""
    return f"{value:.3g}"


def _times(ratio: float) -> str:
    """Below one the reciprocal, which is easier to read than 0.04."""
    return _digits(ratio) if ratio >= 1 else f"1/{_digits(1 / ratio)}"
