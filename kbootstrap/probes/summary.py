"""What a run has shown, in numbers and in words. Pure."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from kbootstrap.probes.ledger import Verdict
from kbootstrap.probes.recording import Account, Observation, Span
from kbootstrap.probes.samples import Failure, Move, Samples, Track

SAME_OUTAGE_SECONDS = 1.0
"""Failures no further apart belong to one outage, although good requests may have come between: to other nodes."""

BLIND_SECONDS = 1.0
"""A longer time between two looks at the replicas is told: what was in between is not known."""


@dataclass(frozen=True, slots=True)
class Outage:
    """From the first request that failed to the next that was good (or the end); seconds of CLOCK_MONOTONIC."""

    began: float
    ended: float
    failed: int

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True, slots=True)
class ProbeSummary:
    """A probe in numbers: seconds, of good answers only; None where there were none.

    `silence` is the longest time without a good answer, and begins at `silence_began`.
    """

    name: str
    requests: int
    failed: int
    moved: int
    median: float | None
    p99: float | None
    longest: float | None
    silence: float
    silence_began: float
    outages: tuple[Outage, ...]
    failures: tuple[Failure, ...] = field(repr=False)
    moves: tuple[Move, ...] = field(repr=False)

    @property
    def outage(self) -> float:
        """All outages together, in seconds."""
        return sum(outage.seconds for outage in self.outages)


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many of the application were ready: at least `lowest` at each of `looks`, `wanted` always.

    `blind` is the longest time between two looks, in seconds.
    """

    wanted: int
    lowest: int
    looks: int
    blind: float


@dataclass(frozen=True, slots=True)
class Summary:
    """All of a run. `replicas` is None when nobody could look."""

    seconds: float
    probes: tuple[ProbeSummary, ...]
    ledgers: tuple[Verdict, ...]
    replicas: Replicas | None
    account: Account
    problems: tuple[str, ...]
    """What a user has felt, and what keeps us from saying that nobody felt anything, in words."""
    remarks: tuple[str, ...]
    """What else the reader should know of the measurement."""

    @property
    def requests(self) -> int:
        return sum(probe.requests for probe in self.probes)

    @property
    def failed(self) -> int:
        return sum(probe.failed for probe in self.probes)

    @property
    def moved(self) -> int:
        return sum(probe.moved for probe in self.probes)

    @property
    def unnoticed(self) -> bool:
        """Nobody has felt anything: no request failed, nothing acknowledged is lost, and that is certain."""
        return not self.problems


def summarize(seen: Observation) -> Summary:
    """The summary of a whole run."""
    probes = tuple(_of_probe(track, seen.began, seen.ended) for track in seen.samples.tracks)
    replicas = _replicas(seen)
    return Summary(
        seconds=seen.ended - seen.began,
        probes=probes,
        ledgers=seen.ledgers,
        replicas=replicas,
        account=seen.account,
        problems=(
            *_account_problems(seen.account),
            *(problem for probe in probes for problem in _probe_problems(probe)),
            *(problem for verdict in seen.ledgers for problem in _ledger_problems(verdict)),
            *_replica_problems(replicas, seen.replicas_wanted),
        ),
        remarks=(*_account_remarks(seen.account), *_replica_remarks(replicas)),
    )


def during(spans: Sequence[Span], at: float) -> tuple[Span, ...]:
    """The phases that went on at a moment."""
    return tuple(span for span in spans if span.began <= at <= span.ended)


def interval(samples: Samples) -> float | None:
    """Seconds between two requests of the probe that sent most: what it did, which is what it was told or less."""
    track = max(samples.tracks, key=lambda track: track.requests, default=None)
    return round(spacing(track.began), 3) if track and len(track.began) > 1 else None


def spacing(began: Sequence[float]) -> float:
    """Seconds from one request to the next, as they were sent most of the time; 0 for fewer than two."""
    gaps = [later - earlier for earlier, later in pairwise(sorted(began))]
    return median(gaps) if gaps else 0.0


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The value that `share` of all are not above (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else None


def _of_probe(track: Track, began: float, ended: float) -> ProbeSummary:
    latencies = sorted(track.seconds)
    silence, since = _silence(track, began, ended)
    return ProbeSummary(
        name=track.name,
        requests=track.requests,
        failed=len(track.failures),
        moved=len(track.moves),
        median=percentile(latencies, 0.5),
        p99=percentile(latencies, 0.99),
        longest=latencies[-1] if latencies else None,
        silence=silence,
        silence_began=since,
        outages=outages(track, ended),
        failures=tuple(sorted(track.failures, key=lambda failure: failure.began)),
        moves=tuple(sorted(track.moves, key=lambda move: move.began)),
    )


def _silence(track: Track, began: float, ended: float) -> tuple[float, float]:
    """The longest time without a good answer, and when it began."""
    answers = sorted(since + taken for since, taken in zip(track.began, track.seconds, strict=True))
    moments = [began, *answers, max([ended, *answers[-1:]])]
    return max((later - earlier, earlier) for earlier, later in pairwise(moments))


def outages(track: Track, ended: float) -> tuple[Outage, ...]:
    """When a probe's requests failed, up to the next good one."""
    good = sorted(track.began)
    groups: list[list[float]] = []
    for at in sorted(failure.began for failure in track.failures):
        if groups and (at - groups[-1][-1] <= SAME_OUTAGE_SECONDS or _next(good, groups[-1][-1], at) >= at):
            groups[-1].append(at)
        else:
            groups.append([at])
    return tuple(Outage(group[0], _next(good, group[-1], ended), len(group)) for group in groups)


def _next(good: Sequence[float], after: float, ended: float) -> float:
    place = bisect_left(good, after)
    return good[place] if place < len(good) else max(ended, after)


def _replicas(seen: Observation) -> Replicas | None:
    census = sorted(seen.samples.census)
    if not census:
        return None
    moments = [seen.began, *(at for at, _ in census), max(seen.ended, census[-1][0])]
    blind = max(later - earlier for earlier, later in pairwise(moments))
    return Replicas(seen.replicas_wanted, min(count for _, count in census), len(census), blind)


def _account_problems(account: Account) -> list[str]:
    return [f"the measurement is not whole: {account.problem}"] if account.problem else []


def _probe_problems(probe: ProbeSummary) -> list[str]:
    if not probe.requests:
        return [f"{probe.name}: not a single request was sent"]
    if not probe.failed:
        return []
    return [
        f"{probe.name}: {probe.failed:,} of {probe.requests:,} requests failed, for {probe.outage:.2f} s; first:"
        f" {probe.failures[0].reason}"
    ]


def _ledger_problems(verdict: Verdict) -> list[str]:
    if verdict.problem:
        return [f"the acknowledged writes could not be read back from {verdict.where}: {verdict.problem}"]
    if verdict.lost:
        first = ", ".join(verdict.lost[:3])
        return [f"{len(verdict.lost):,} acknowledged writes are not in {verdict.where}, such as {first}"]
    return []


def _replica_problems(replicas: Replicas | None, wanted: int) -> list[str]:
    if not wanted:
        return []
    if replicas is None:
        return ["how many replicas of the application were ready is not known: nobody could look"]
    if replicas.lowest < wanted:
        return [f"the application had {replicas.lowest} ready replicas; its budget is {wanted}"]
    return []


def _account_remarks(account: Account) -> list[str]:
    if not account.unsent:
        return []
    return [f"{account.unsent:,} requests were never sent: this machine held the prober up for {account.late:.1f} s"]


def _replica_remarks(replicas: Replicas | None) -> list[str]:
    if replicas is None or replicas.blind <= BLIND_SECONDS:
        return []
    return [f"for {replicas.blind:.1f} s nobody could look how many replicas were ready"]
