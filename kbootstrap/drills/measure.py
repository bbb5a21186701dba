"""How much of a budget a drill has used. Pure."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise

from kbootstrap.drills.drill import Course, Rule
from kbootstrap.drills.result import Jitter, Kind, Limit, Measured
from kbootstrap.model.cluster import Cluster
from kbootstrap.probes import kinds
from kbootstrap.probes.ledger import Verdict as Reading
from kbootstrap.probes.recording import Observation
from kbootstrap.probes.samples import Track
from kbootstrap.probes.spec import object_name
from kbootstrap.probes.summary import Outage, outages, percentile, spacing

READS = ("api-new", "api-kept")
WRITES = kinds.WRITES
NEW = ("api-new", "write-new")
"""Each request on a connection of its own, through the endpoint."""
KEPT = ("api-kept", "write-kept")
APPLICATION = ("application",)
EDGE = (kinds.EDGE,)

NO_END_SECONDS = 1.0
"""Requests that failed in the last second may only have been cut off by the end of the observation."""

BUSY_SECONDS = 0.25
"""Half of the shortest outage that a budget allows. One answer of a hundred that takes longer is too many."""


def outage(what: str, seconds: float, *probes: str) -> Rule:
    """No outage that any of these probes feels, wherever sent from, is longer; 0: none of their requests fails."""
    return Rule(Limit(what, seconds, probes), _felt)


def edge(cluster: Cluster, seconds: float) -> tuple[Rule, ...]:
    """The same for the applications by name, where load balancers serve some."""
    return (outage("applications by name", seconds, *EDGE),) if cluster.named_applications else ()


def longest_wait(what: str, seconds: float, *probes: str) -> Rule:
    """Nobody waits longer for a single answer, or for an error, of those who asked before or so soon after the fault:
    later nobody may ask at what was lost. It is no outage: others are answered meanwhile.
    """
    return Rule(Limit(what, seconds), partial(_longest_wait, probes))


def unfelt(*probes: str) -> Rule:
    """No request fails."""
    return outage("requests", 0, *probes)


def unbroken(what: str) -> Rule:
    """No connection to the API that is open breaks: not the watch's, nor one of the probes that keep theirs."""
    return Rule(Limit(what, 0), _unbroken)


def reached(what: str, seconds: float) -> Rule:
    """What is awaited under this name comes about so soon after the fault."""
    return Rule(Limit(what, seconds), _reached)


def steady(what: str, seconds: float) -> Rule:
    """The cluster is steady so soon after the undo began."""
    return Rule(Limit(what, seconds), _steady)


def _felt(limit: Limit, course: Course) -> Measured:
    """The longest outage, or the longest silence where it says more: requests may hang without failing.

    The silence includes what answers take anyway. Where no request may fail, it does not count. None when an outage did
    not end, or when none of the requests was sent.
    """
    felt = [_felt_by(track, limit, course) for track in sent(course.seen, limit.probes)]
    none = Measured(limit, None, "none of them was sent")
    return max(felt, key=lambda one: math.inf if one.seconds is None else one.seconds, default=none)


def _longest_wait(probes: Sequence[str], limit: Limit, course: Course) -> Measured:
    waits = [
        (began + seconds - max(began, course.fault), track.name)
        for track in sent(course.seen, probes)
        for began, seconds in (
            *zip(track.began, track.seconds, strict=True),
            *((failure.began, failure.seconds) for failure in track.failures),
        )
        if began + seconds > course.fault and began <= course.fault + limit.seconds
    ]
    longest = max(waits, default=None)
    return Measured(limit, None, "none of them was sent") if longest is None else Measured(limit, *longest)


def sent(seen: Observation, probes: Sequence[str]) -> list[Track]:
    """What these probes have sent, wherever from."""
    return [track for track in seen.samples.tracks if kinds.kind_of(track.name) in probes and track.requests]


def _felt_by(track: Track, limit: Limit, course: Course) -> Measured:
    ended = course.seen.ended
    failed = [one for one in outages(track, ended) if one.ended > course.fault]
    if failed and failed[-1].began > max(track.began, default=0.0) and ended - failed[-1].began > NO_END_SECONDS:
        return Measured(limit, None, f"{_told(track, failed)}; it did not end")
    longest = max((one.seconds for one in failed), default=0.0)
    silent = silence(track, course.fault, ended) if limit.seconds else 0.0
    said = _told(track, failed) if failed else f"{track.name}: none failed"
    return Measured(limit, max(longest, silent), said)


def longest_outage(course: Course) -> float | None:
    """What requests of the API felt, whatever may be allowed; infinite when it did not end, None without requests."""
    probes = (*READS, *WRITES)
    if not sent(course.seen, probes):
        return None
    found = _felt(Limit("requests of the API", math.inf, probes), course)
    return math.inf if found.seconds is None else found.seconds


def _told(track: Track, felt: Sequence[Outage]) -> str:
    reasons = [failure.reason for failure in track.failures if failure.began >= felt[0].began]
    failed = sum(one.failed for one in felt)
    return f"{track.name}: {failed} requests failed; first: {reasons[0]}"


def silence(track: Track, since: float, until: float) -> float:
    """The longest time for which somebody waited for a good answer after a moment.

    That is the time from one good answer to the next, without what of it passed before the next request was due: that
    a probe is sent ten times a second is no outage of 0.1 s. Where requests were due and not sent, it counts.
    """
    good = [began + seconds for began, seconds in zip(track.began, track.seconds, strict=True)]
    bad = [(failure.began + failure.seconds, failure.began) for failure in track.failures]
    asked = sorted((*zip(good, track.began, strict=True), *bad))
    ended, began = [end for end, _ in asked], [begin for _, begin in asked]
    pending = list(accumulate(reversed(began), min))[::-1]
    gap = spacing(began)
    last = max([until, *good])
    moments = [since, *sorted(at for at in good if at > since), last]

    def waited(earlier: float, later: float) -> float:
        unanswered = bisect_right(ended, earlier)
        due = earlier + gap
        asks = min(pending[unanswered], due) if unanswered < len(pending) else due
        return later - max(earlier, asks)

    return max(0.0, *(waited(earlier, later) for earlier, later in pairwise(moments)))


def serving(seen: Observation, since: float, probes: Sequence[str]) -> float | None:
    """When the last outage that any of the probes felt after a moment was over; None when none did."""
    ends = [
        one.ended
        for track in seen.samples.tracks
        if kinds.kind_of(track.name) in probes
        for one in outages(track, seen.ended)
        if one.ended > since
    ]
    return max(ends, default=None)


def _unbroken(limit: Limit, course: Course) -> Measured:
    """A kept connection that ends between two requests is not heard of; the watch is never between two."""
    samples = course.seen.samples
    cuts = [(at, f"the watch: {reason}") for at, reason in samples.cuts]
    moves = [
        (move.began + move.seconds, f"{track.name}: {move.reason}")
        for track in samples.tracks
        if kinds.kind_of(track.name) in KEPT
        for move in track.moves
    ]
    broken = sorted(one for one in (*cuts, *moves) if one[0] > course.fault)
    if not broken:
        return Measured(limit, 0.0)
    at, why = broken[0]
    return Measured(limit, None, f"{len(broken)} broke; first, {at - course.fault:.2f} s after the fault, {why}")


def _reached(limit: Limit, course: Course) -> Measured:
    at = course.reached.get(limit.what)
    if at is None:
        return Measured(limit, None, course.waiting.get(limit.what, ""))
    return Measured(limit, max(0.0, at - course.fault))


def _steady(limit: Limit, course: Course) -> Measured:
    undo, again = course.first(Kind.RECOVER), course.first(Kind.STEADY_AGAIN)
    return Measured(limit, None if undo is None or again is None else again - undo)


def jitter(tracks: Sequence[Track], since: float, until: float) -> tuple[Jitter, ...]:
    """How the probes' answers came in a time when nothing was done to the cluster."""
    found = []
    for track in tracks:
        latencies = sorted(
            seconds
            for began, seconds in zip(track.began, track.seconds, strict=True)
            if since <= began + seconds <= until
        )
        median, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
        if median is not None and p99 is not None:
            found.append(Jitter(track.name, median, p99, latencies[-1]))
    return tuple(found)


def slow(found: Sequence[Jitter]) -> Jitter | None:
    """The slowest probe, where what it measures would say more about how busy the hosts are than about a fault."""
    slowest = max(found, key=lambda one: one.p99, default=None)
    return slowest if slowest is not None and slowest.p99 > BUSY_SECONDS else None


def failed_since(tracks: Sequence[Track], since: float) -> list[str]:
    """Why requests that were sent after a moment failed, in words, by probe; also that none was answered: those that
    hang have not failed yet.
    """
    found = []
    for track in tracks:
        reasons = [failure.reason for failure in track.failures if failure.began >= since]
        if reasons:
            found.append(f"{track.name}: {len(reasons)} requests failed; first: {reasons[0]}")
        elif not any(began >= since for began in reversed(track.began)):
            found.append(f"{track.name}: no request was answered")
    return found


def excused(seen: Observation, kept_until: float | None) -> int:
    """How many acknowledged writes are missing that may be: they are younger than what was restored."""
    late = _acknowledged_after(seen, kept_until)
    return max((len(late.intersection(reading.lost)) for reading in seen.ledgers), default=0)


def losses(seen: Observation, kept_until: float | None = None) -> list[str]:
    """What the readings back say against the ledger. With `kept_until`, what was acknowledged later may be missing."""
    late = _acknowledged_after(seen, kept_until)
    return [problem for reading in seen.ledgers for problem in _loss(reading, late)]


@dataclass(frozen=True, slots=True)
class Watched:
    """What the long watch has told: acknowledged writes that it never told of, and how late it was at the most."""

    events: int
    missing: tuple[str, ...]
    latest: float
    cuts: tuple[tuple[float, str], ...]

    @property
    def said(self) -> str:
        """In words."""
        often = {0: "never", 1: "once"}.get(len(self.cuts), f"{len(self.cuts)} times")
        first = f" ({self.cuts[0][1]})" if self.cuts else ""
        return (
            f"a watch told of {self.events:,} writes, the latest {self.latest:.2f} s after it was acknowledged;"
            f" it broke {often}{first}"
        )


def watched(seen: Observation, kept_until: float | None = None) -> Watched | None:
    """What became of the watch; None where there was none. What may be lost need not be told of."""
    samples = seen.samples
    if not samples.seen:
        return None
    missing, latest = [], 0.0
    for track in samples.tracks:
        if kinds.kind_of(track.name) not in kinds.API_WRITES:
            continue
        for serial, began, seconds in zip(track.serials, track.began, track.seconds, strict=True):
            name = object_name(track.name, serial)
            if name in samples.seen:
                latest = max(latest, samples.seen[name] - began - seconds)
            elif kept_until is None or began + seconds <= kept_until:
                missing.append(name)
    return Watched(len(samples.seen), tuple(sorted(missing)), latest, tuple(samples.cuts))


def _loss(reading: Reading, late: frozenset[str]) -> list[str]:
    if reading.problem:
        return [f"the acknowledged writes could not be read back from {reading.where}: {reading.problem}"]
    lost = [name for name in reading.lost if name not in late]
    if lost:
        return [f"{len(lost):,} acknowledged writes are not in {reading.where}, such as {', '.join(lost[:3])}"]
    return []


def _acknowledged_after(seen: Observation, moment: float | None) -> frozenset[str]:
    if moment is None:
        return frozenset()
    return frozenset(
        object_name(track.name, serial)
        for track in seen.samples.tracks
        for serial, began, seconds in zip(track.serials, track.began, track.seconds, strict=True)
        if began + seconds > moment
    )
