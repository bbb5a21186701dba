"""What a verification found, as values: one outcome per test and subject."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from kbootstrap.errors import KbootstrapError

CLUSTER = "cluster"
"""The subject of what concerns all hosts together."""

LIVE = "live"
"""The subject of the checks with pods of our own."""


class Verdict(StrEnum):
    """How a test ended. Only `failed` means that the cluster is not what it should be, or could not be looked at."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a test failed or was skipped, for people: no traceback, no secrets."""

    message: str
    expected: str | None = None
    found: str | None = None
    command: str | None = None
    output: str | None = None
    hint: str | None = None

    @classmethod
    def of(cls, error: KbootstrapError) -> "Finding":
        """What an expected error says; its host is known by the outcome."""
        return cls(error.message, command=error.command, output=error.output, hint=error.hint)

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """Everything but the message, as far as known."""
        named = {
            "expected": self.expected,
            "found": self.found,
            "command": self.command,
            "output": self.output,
            "next": self.hint,
        }
        return tuple((name, value) for name, value in named.items() if value is not None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test on one subject: a host's name, `cluster` or `live`."""

    subject: str
    suite: str
    test: str
    """Stable, for machines: `test_unit[etcd.service]`."""
    title: str
    """For people: `the unit is enabled and runs: etcd.service`."""
    verdict: Verdict
    seconds: float
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole verification. `left_out` says in words what was not looked at, and why."""

    cluster: str
    outcomes: tuple[Outcome, ...]
    seconds: float
    left_out: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything that was looked at is as it should be. A report about nothing is not."""
        return bool(self.outcomes) and not self.failures

    @property
    def failures(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.verdict is Verdict.FAILED)

    @property
    def subjects(self) -> tuple[str, ...]:
        """In the order in which they appear."""
        return tuple(dict.fromkeys(outcome.subject for outcome in self.outcomes))

    def count(self, verdict: Verdict) -> int:
        return sum(outcome.verdict is verdict for outcome in self.outcomes)

    def as_json(self) -> dict[str, object]:
        """For machines; the keys are a promise."""
        return {
            "kind": "kbootstrap-verification/v1",
            "cluster": self.cluster,
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "counts": {str(verdict): self.count(verdict) for verdict in Verdict},
            "left_out": list(self.left_out),
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }


def failed(subject: str, suite: str, title: str, finding: Finding) -> Outcome:
    """The outcome of something that could not even be tested."""
    return Outcome(subject, suite, f"test_{suite}", title, Verdict.FAILED, 0.0, finding)


def by_suite(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """A subject's outcomes, grouped."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.suite, []).append(outcome)
    return groups
