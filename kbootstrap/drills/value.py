"""A drill's result as a JSON value, and back: for machines, and as it is kept. Pure.

Times are seconds since the observation began; the single requests are not part of it (see `kept`).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from kbootstrap.drills.result import DrillResult, Jitter, Measured, Moment, Verdict
from kbootstrap.probes import ledger
from kbootstrap.probes.recording import Account, Mark, Observation, Span
from kbootstrap.probes.report import reasons
from kbootstrap.probes.samples import Samples, Track
from kbootstrap.probes.summary import ProbeSummary, interval, summarize

KIND: Literal["kbootstrap-drill/v1"] = "kbootstrap-drill/v1"

DIGITS = 6
"""Of seconds: more are not measured."""


class KeptObservation(BaseModel):
    """An observation without its single requests."""

    model_config = ConfigDict(from_attributes=True)

    started: datetime
    began: float
    ended: float
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]
    account: Account
    ledgers: tuple[ledger.Verdict, ...]
    replicas_wanted: int

    def observation(self, samples: Samples) -> Observation:
        """As it was."""
        return Observation(samples=samples, **_values(self))


class KeptResult(BaseModel):
    """A result; what else is in its JSON is for readers, and is found anew from the requests."""

    model_config = ConfigDict(from_attributes=True)

    drill: str
    title: str
    cluster: str
    run: str
    began: datetime
    seconds: float
    verdict: Verdict
    hosts: tuple[str, ...]
    measured: tuple[Measured, ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    notes: tuple[str, ...] = ()
    moments: tuple[Moment, ...]
    jitter: tuple[Jitter, ...]
    setting: dict[str, str]
    seen: KeptObservation | None
    series: str = ""
    interval: float | None = None
    felt: float | None = None
    excused: int = 0
    possible: bool = True

    def result(self, samples: Samples) -> DrillResult:
        """As it was, with the requests that it was made from."""
        seen = self.seen.observation(samples) if self.seen else None
        return DrillResult(**{**_values(self), "seen": seen})


def _values(model: BaseModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields}


def as_json(results: Sequence[DrillResult]) -> str:
    """All results, for machines."""
    return json.dumps([as_value(result) for result in results], indent=2)


def as_value(result: DrillResult) -> dict[str, Any]:
    """A result with everything but the single requests."""
    since = since_began(result)
    since = replace(since, interval=since.interval or (interval(since.seen.samples) if since.seen else None))
    value = KeptResult.model_validate(since).model_dump(mode="json")
    probes = [_probe(probe) for probe in summarize(since.seen).probes] if since.seen else []
    outage, felt = (None if seconds == math.inf else seconds for seconds in (since.outage, since.felt))
    value["felt"] = felt
    return {"kind": KIND, **value, "recovery": since.recovery, "outage": outage, "probes": probes}


def from_json(text: str | bytes, samples: Samples | None = None) -> DrillResult:
    """The result that a value was made of. Raises ValueError for what is none."""
    return KeptResult.model_validate_json(text).result(samples or Samples([]))


def since_began(result: DrillResult) -> DrillResult:
    """The same; its times are seconds since the observation began instead of the clock's."""
    first = result.moments[0].at if result.moments else 0.0
    zero = result.seen.began if result.seen else first
    moments = tuple(replace(moment, at=round(moment.at - zero, DIGITS)) for moment in result.moments)
    return replace(result, moments=moments, seen=result.seen and _since(result.seen, zero))


def _since(seen: Observation, zero: float) -> Observation:
    return replace(
        seen,
        began=0.0,
        ended=seen.ended - zero,
        spans=tuple(replace(span, began=span.began - zero, ended=span.ended - zero) for span in seen.spans),
        marks=tuple(replace(mark, at=mark.at - zero) for mark in seen.marks),
        samples=Samples(
            [_shifted(track, zero) for track in seen.samples.tracks],
            [(at - zero, count) for at, count in seen.samples.census],
            {name: at - zero for name, at in seen.samples.seen.items()},
            [(at - zero, reason) for at, reason in seen.samples.cuts],
        ),
    )


def _shifted(track: Track, zero: float) -> Track:
    return replace(
        track,
        began=type(track.began)("d", (at - zero for at in track.began)),
        failures=[replace(failure, began=failure.began - zero) for failure in track.failures],
        moves=[replace(move, began=move.began - zero) for move in track.moves],
    )


def _probe(probe: ProbeSummary) -> dict[str, Any]:
    return {
        "name": probe.name,
        "requests": probe.requests,
        "failed": probe.failed,
        "moved": probe.moved,
        "latency": {"p50": probe.median, "p99": probe.p99, "max": probe.longest},
        "silence": {"began": round(probe.silence_began, DIGITS), "seconds": round(probe.silence, DIGITS)},
        "outages": [
            {"began": round(one.began, DIGITS), "seconds": round(one.seconds, DIGITS), "failed": one.failed}
            for one in probe.outages
        ],
        "reasons": [
            {"reason": reason, "count": count, "first": round(first, DIGITS)} for reason, count, first in reasons(probe)
        ],
    }
