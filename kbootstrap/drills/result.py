"""What a drill found: values, from which every report is made. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from kbootstrap.probes.recording import Observation


class Verdict(StrEnum):
    """How a drill ended."""

    PASSED = "passed"
    """Within every limit, nothing acknowledged was lost, and the cluster is steady again."""
    FAILED = "failed"
    REFUSED = "refused"
    """A guard stood in the way: nothing was done to the cluster."""
    CUT_SHORT = "cut short"
    """Somebody ended it in the middle; what it did was undone."""


class Kind(StrEnum):
    """What a moment on the time line is."""

    STEADY = "steady"
    ARMED = "armed"
    FAULT = "fault"
    DETECTED = "detected"
    VIP_MOVED = "vip moved"
    LEADER = "leader"
    SERVING = "serving"
    """The first good request after the last that failed."""
    RECOVER = "recover"
    """The undo began."""
    STEADY_AGAIN = "steady again"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, in seconds of CLOCK_MONOTONIC on the machine that drills."""

    at: float
    kind: Kind
    text: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A line of a drill's budget: `seconds` that `what` may take at the most.

    With `probes`, what is measured is the longest outage that any of them felt; 0 seconds then mean that no request
    may fail. Without, the drill measures it in its own way, such as the time until another leads; 0 seconds then mean
    that `what` must be so.
    """

    what: str
    seconds: float
    probes: tuple[str, ...] = ()

    @property
    def is_demand(self) -> bool:
        """Whether it is about something that must be so, and not about how long anything takes."""
        return not self.seconds and not self.probes


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found for a limit: seconds, or None for what did not come while the drill watched, or was not so."""

    limit: Limit
    seconds: float | None
    detail: str = ""

    @property
    def within(self) -> bool:
        return self.seconds is not None and self.seconds <= self.limit.seconds


@dataclass(frozen=True, slots=True)
class Jitter:
    """A probe in the steady state before the fault: seconds. It is shown, and subtracted from nothing."""

    probe: str
    median: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class DrillResult:
    """One drill, from the proof of the steady state before it to the one after it.

    `series` is the run of the first of the drills that were asked for together, such as a suite; empty for one alone.
    `hosts` are those that were hurt; `problems` is why it did not pass, in words; `remarks` is what else the reader has
    to know, and `notes` what is nearly always the same; `setting` has the versions and the configuration it was run
    with; `seen` is None when it was refused.
    """

    drill: str
    title: str
    cluster: str
    run: str
    began: datetime
    seconds: float
    verdict: Verdict
    hosts: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    jitter: tuple[Jitter, ...] = ()
    setting: Mapping[str, str] = field(default_factory=dict)
    seen: Observation | None = None
    series: str = ""
    interval: float | None = None
    """Seconds between two requests of a probe; None where it is not known (see `probes.summary.interval`)."""
    felt: float | None = None
    """The longest outage in seconds that requests of the API felt, whether there is a limit for it or not."""
    excused: int = 0
    """Acknowledged writes that are missing and may be: a restore ends with what its backup held."""
    possible: bool = True
    """False: refused because these hosts have not what the drill needs; a suite leaves it out."""

    @property
    def recovery(self) -> float | None:
        """Seconds from the fault until the cluster was steady again; None if it never was."""
        fault = next((moment.at for moment in self.moments if moment.kind is Kind.FAULT), None)
        steady = next((moment.at for moment in self.moments if moment.kind is Kind.STEADY_AGAIN), None)
        return None if fault is None or steady is None else steady - fault

    @property
    def outage(self) -> float | None:
        """The longest outage in seconds that requests felt for which there is a limit, or that those of the API felt if
        there is no such limit; None if nothing was measured.

        It is infinite when it did not end while the drill watched.
        """
        felt = [one.seconds for one in self.measured if one.limit.probes]
        return max((math.inf if seconds is None else seconds for seconds in felt), default=self.felt)
