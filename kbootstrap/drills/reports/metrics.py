"""What the last run of each drill found as metrics, for node_exporter's textfile collector."""

import math
from collections.abc import Callable, Iterator, Sequence

from kbootstrap.drills.history import finished, histories
from kbootstrap.drills.reports.words import lost
from kbootstrap.drills.result import DrillResult, Verdict

Value = Callable[[DrillResult], float | None]

METRICS: tuple[tuple[str, str, Value], ...] = (
    ("success", "Whether the last run of the drill passed.", lambda result: result.verdict is Verdict.PASSED),
    ("last_run_timestamp_seconds", "When it began.", lambda result: result.began.timestamp()),
    ("duration_seconds", "How long it took.", lambda result: result.seconds),
    (
        "outage_seconds",
        "The longest outage that requests with a limit felt; +Inf if it did not end while the drill watched.",
        lambda result: result.outage if finished(result) else None,
    ),
    ("recovery_seconds", "From the fault until the cluster was steady again.", lambda result: result.recovery),
    (
        "lost_writes",
        "Acknowledged writes that were missing afterwards, and should not have been.",
        lambda result: lost(result) if result.seen else None,
    ),
)
"""Name, help, and the value; None where there is nothing to tell."""


def metrics(results: Sequence[DrillResult]) -> str:
    """Of each drill's newest result. In the text format of Prometheus."""
    newest = [history.last for history in histories(results)]
    return "".join(line for metric in METRICS for line in _family(*metric, newest))


def _family(name: str, text: str, value: Value, results: Sequence[DrillResult]) -> Iterator[str]:
    yield f"# HELP kbootstrap_drill_{name} {text}\n# TYPE kbootstrap_drill_{name} gauge\n"
    for result in results:
        number = value(result)
        if number is not None:
            labels = f'cluster="{_escaped(result.cluster)}",drill="{_escaped(result.drill)}"'
            yield f"kbootstrap_drill_{name}{{{labels}}} {_number(float(number))}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return "+Inf" if math.isinf(value) else f"{value:.3f}".rstrip("0").rstrip(".")
