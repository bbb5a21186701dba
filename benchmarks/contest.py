"""Things compared: done in turn, round after round, so that whatever else the machine does meets all of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median


def nothing() -> None:
    """Neither preparation nor proof."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work. `run` is timed; `prepare` before every round and `verify` after it are not.

    All three raise on failure.
    """

    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = nothing
    verify: Callable[[], object] = nothing


@dataclass(frozen=True, slots=True)
class Contest:
    """The ways to do one piece of work. The first contender is the subject: ratios say how it compares with the others.

    `repeats` are runs per round, for what is too short to be timed alone; `megabytes` is what one run moves.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    repeats: int = 1
    megabytes: float | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several measurements, and the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contest measured: seconds per run, by contender, a value for each round."""

    contest: Contest
    seconds: Mapping[str, list[float]]

    @property
    def subject(self) -> str:
        """The contender that is compared with the others."""
        return self.contest.contenders[0].name

    def spread(self, contender: str) -> Spread:
        """How long a contender took, in seconds."""
        return Spread.of(self.seconds[contender])

    def ratio(self, other: str) -> Spread:
        """The subject's time divided by another's, of the same round each: what slows both down cancels out."""
        pairs = zip(self.seconds[self.subject], self.seconds[other], strict=True)
        return Spread.of([ours / theirs for ours, theirs in pairs])


def measure(contest: Contest, rounds: int, say: Callable[[str], None]) -> Outcome:
    """Every contender once a round, in the same order: A B A B."""
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contest.contenders}
    for number in range(1, rounds + 1):
        for contender in contest.contenders:
            contender.prepare()
            began = time.perf_counter()
            for _ in range(contest.repeats):
                contender.run()
            took = (time.perf_counter() - began) / contest.repeats
            contender.verify()
            seconds[contender.name].append(took)
            say(f"{contest.name}, round {number} of {rounds}: {contender.name} {took:.3f} s")
    return Outcome(contest, seconds)
