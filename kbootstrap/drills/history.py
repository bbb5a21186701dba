"""Drills over many runs: outages, and the availability that they allow. Pure.

Availability is MTTF / (MTTF + MTTR). MTTR, the mean time to repair, is the mean of the outages that were measured, as
requests felt them; MTTF, the mean time to failure, is a year divided by how many such faults are expected in one. The
nines are -log10(1 - availability). docs/drill-reports.md says what this leaves out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from kbootstrap.drills.result import DrillResult, Verdict
from kbootstrap.probes.spec import RATE

YEAR_SECONDS = 365.25 * 24 * 3600
"""The Julian year."""

INTERVAL = 1 / RATE
"""Seconds between two requests of a probe, where a result does not say it."""


@dataclass(frozen=True, slots=True)
class Availability:
    """What it is when a fault comes every `mttf` seconds, and users are not served for `mttr` seconds then."""

    mttf: float
    mttr: float

    @property
    def share(self) -> float:
        """MTTF / (MTTF + MTTR); 0 when an outage did not end."""
        return self.mttf / (self.mttf + self.mttr)

    @property
    def missing(self) -> float:
        """1 - availability, without the rounding of that difference."""
        return self.mttr / (self.mttf + self.mttr) if math.isfinite(self.mttr) else 1.0

    @property
    def nines(self) -> float:
        """3.0 for 99.9 %."""
        return max(0.0, -math.log10(self.missing))

    @property
    def seconds_a_year(self) -> float:
        """In which users are not served."""
        return YEAR_SECONDS * self.missing


def finished(result: DrillResult) -> bool:
    """Whether it was measured to the end."""
    return result.verdict in (Verdict.PASSED, Verdict.FAILED)


@dataclass(frozen=True, slots=True)
class DrillHistory:
    """All runs of a drill, oldest first."""

    drill: str
    results: tuple[DrillResult, ...]

    @property
    def last(self) -> DrillResult:
        return self.results[-1]

    @property
    def finished(self) -> tuple[DrillResult, ...]:
        """Those that were measured to the end."""
        return tuple(filter(finished, self.results))

    @property
    def outages(self) -> tuple[float, ...]:
        """Seconds; infinite where one did not end while the drill watched."""
        return tuple(result.outage for result in self.finished if result.outage is not None)

    @property
    def recoveries(self) -> tuple[float, ...]:
        """Seconds from the fault to the steady state."""
        return tuple(result.recovery for result in self.finished if result.recovery is not None)

    @property
    def mttr(self) -> float | None:
        """The mean of the outages; None where none was measured.

        An outage that no request felt may have been as long as the time between two of them, and counts so.
        """
        measured = [
            max(result.outage, result.interval or INTERVAL) for result in self.finished if result.outage is not None
        ]
        return fmean(measured) if measured else None

    def availability(self, faults_per_year: float) -> Availability | None:
        """If this fault comes so often, and nothing else does."""
        return None if self.mttr is None else Availability(YEAR_SECONDS / faults_per_year, self.mttr)


@dataclass(frozen=True, slots=True)
class Rates:
    """How many faults of each drill's kind are expected in a year: `each`, or what is said for the drill."""

    each: float = 1.0
    by_drill: Mapping[str, float] | None = None

    def of(self, drill: str) -> float:
        """More than 0."""
        return (self.by_drill or {}).get(drill, self.each)


def histories(results: Sequence[DrillResult]) -> list[DrillHistory]:
    """By drill, in the order of their names."""
    ordered = sorted(results, key=lambda result: result.began)
    return [
        DrillHistory(drill, tuple(result for result in ordered if result.drill == drill))
        for drill in sorted({result.drill for result in results})
    ]


def together(found: Sequence[DrillHistory], rates: Rates) -> Availability | None:
    """If the faults of all drills come, each at its own rate, one after the other; None where nothing was measured."""
    expected = [(rates.of(one.drill), one.mttr) for one in found if one.mttr is not None]
    faults = sum(rate for rate, _ in expected)
    if not faults:
        return None
    return Availability(YEAR_SECONDS / faults, sum(rate * mttr for rate, mttr in expected) / faults)


def spread(values: Sequence[float]) -> float | None:
    """From the least to the most."""
    return max(values) - min(values) if values and math.isfinite(max(values)) else None


def middle(values: Sequence[float]) -> float | None:
    """The median."""
    return median(values) if values else None
