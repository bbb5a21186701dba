"""What is known of a drill while it goes on, and the verdict at its end."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from kbootstrap.drills.chronicle import Chronicle
from kbootstrap.drills.drill import Course, Drill
from kbootstrap.drills.measure import EDGE, excused, jitter, longest_outage, losses, sent, slow, watched
from kbootstrap.drills.result import DrillResult, Jitter, Kind, Measured, Verdict
from kbootstrap.drills.steady import BASELINE_SECONDS
from kbootstrap.engine.lock import Owner
from kbootstrap.errors import HostsFailed, KbootstrapError
from kbootstrap.model.cluster import Cluster
from kbootstrap.probes.recording import Observation


@dataclass(slots=True)
class Story:
    """What is known so far."""

    drill: Drill
    cluster: Cluster
    owner: Owner
    chronicle: Chronicle
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    since: float = field(default_factory=time.monotonic)
    hosts: tuple[str, ...] = ()
    reached: dict[str, float] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    setting: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    kept_until: float | None = None
    seen: Observation | None = None
    verdict: Verdict | None = None
    """None until it is judged."""

    def result(self, verdict: Verdict, measured: Sequence[Measured] = (), before: Sequence[Jitter] = ()) -> DrillResult:
        return DrillResult(
            drill=self.drill.name,
            title=self.drill.title,
            cluster=self.cluster.name,
            run=self.owner.run,
            began=self.began,
            seconds=time.monotonic() - self.since,
            verdict=verdict,
            hosts=self.hosts,
            measured=tuple(measured),
            problems=tuple(self.problems),
            remarks=tuple(self.remarks),
            notes=tuple(self.notes),
            moments=self.chronicle.moments(),
            jitter=tuple(before),
            setting=self.setting,
            seen=self.seen,
        )


def judged(story: Story) -> DrillResult:
    """The verdict, from everything that was seen."""
    seen, drill = story.seen, story.drill
    if seen is None:
        raise AssertionError("a drill that was not refused was observed")
    course = Course(story.chronicle.moments(), seen, story.reached, story.waiting)
    measured = [rule.measure(rule.limit, course) for rule in drill.budget(story.cluster)]
    unsent = [one for one in measured if one.limit.probes == EDGE and one.seconds is None and not sent(seen, EDGE)]
    story.remarks += [f"{one.limit.what}: not measured, for none of them answered before" for one in unsent]
    measured = [one for one in measured if one not in unsent]
    for one in measured:
        if not one.within:
            story.problems.append(_over(one))
    story.problems += losses(seen, story.kept_until)
    if (watch := watched(seen, story.kept_until)) is not None:
        story.notes.append(watch.said)
        if watch.missing:
            first = ", ".join(watch.missing[:3])
            story.problems.append(f"a watch never told of {len(watch.missing):,} acknowledged writes, such as {first}")
    if seen.account.problem:
        story.problems.append(f"the measurement is not whole: {seen.account.problem}")
    if seen.account.unsent:
        story.remarks.append(f"{seen.account.unsent:,} requests were never sent: this machine held the prober up")
    before = _before(story.chronicle, seen)
    story.remarks += busy(before)
    story.verdict = Verdict.CUT_SHORT if story.cut else Verdict.FAILED if story.problems else Verdict.PASSED
    result = story.result(story.verdict, measured, before)
    return replace(result, felt=longest_outage(course), excused=excused(seen, story.kept_until))


def _before(chronicle: Chronicle, seen: Observation) -> tuple[Jitter, ...]:
    """How the probes fared in the steady state before the fault."""
    steady, fault = chronicle.first(Kind.STEADY), chronicle.first(Kind.FAULT)
    if steady is None or fault is None:
        return ()
    return jitter(seen.samples.tracks, steady - BASELINE_SECONDS, fault)


def busy(before: Sequence[Jitter]) -> list[str]:
    """What the reader has to know of a cluster that was slow before anything was done to it."""
    slowest = slow(before)
    if slowest is None:
        return []
    return [
        f"before the fault one of a hundred answers of {slowest.probe} took {slowest.p99:.2f} s and more: hosts are too"
        " busy for so many requests, and every outage contains that (see --probe-rate, and drills.probe_rates in the"
        " inventory)"
    ]


def _over(measured: Measured) -> str:
    limit = measured.limit
    if limit.is_demand:
        return f"{limit.what}: not so: {measured.detail}"
    missing = "no number" if limit.probes else "did not come about"
    what = missing if measured.seconds is None else f"{measured.seconds:.2f} s"
    allowed = "none may fail" if limit.probes and not limit.seconds else f"{limit.seconds:g} s are allowed"
    return ": ".join(part for part in (f"{limit.what}: {what}, and {allowed}", measured.detail) if part)


def said(error: KbootstrapError) -> str:
    """An error in words, with what was printed; of several hosts, each one's."""
    failures = error.failures if isinstance(error, HostsFailed) else ()
    return "\n".join(part for part in (str(error), error.output, *map(said, failures)) if part)
