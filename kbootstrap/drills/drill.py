"""What a drill is: whom it hurts and how, how it is undone, and what it may cost. Values; nothing is done here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kbootstrap.drills.result import Kind, Limit, Measured, Moment
from kbootstrap.model.cluster import Cluster
from kbootstrap.probes.recording import Observation

if TYPE_CHECKING:
    from kbootstrap.drills.ground import Ground

STEADY_SECONDS = 120.0
"""From the undo until the cluster must be steady again, unless a drill says otherwise."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is done to hosts on purpose.

    `strike` is shell for each host that it is done on, and `undo` shell that heals it: it is armed on the host itself
    before anything is done, may be run again and again, and runs also where nobody is left to ask for it. Of a fault
    that `cuts_power`, the undo is the power.

    `before` is done ahead of it, when the undo is armed, in `before_seconds` at most, and `recover` what only the
    control machine can do, before the undo. `seconds` is how long it is watched at least.
    """

    title: str
    hosts: tuple[str, ...]
    strike: Mapping[str, str] = field(default_factory=dict)
    undo: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 8.0
    cuts_power: bool = False
    before: "Callable[[Ground], None] | None" = None
    before_seconds: float = 90.0
    recover: "Callable[[Ground], None] | None" = None


@dataclass(frozen=True, slots=True)
class Await:
    """Something that must come about while the fault lasts: `reached` says how, None as long as it has not.

    It is what the limit of that name measures. After `seconds` nobody waits for it any more.
    """

    what: str
    seconds: float
    reached: "Callable[[Ground], str | None]"
    kind: Kind = Kind.NOTE


@dataclass(frozen=True, slots=True)
class Course:
    """What happened, for measuring: the moments, the requests, and when each thing that was awaited came about."""

    moments: Sequence[Moment]
    seen: Observation
    reached: Mapping[str, float] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Why something did not come about, where that is known."""

    def first(self, kind: Kind) -> float | None:
        """When the first moment of a kind was."""
        return next((moment.at for moment in self.moments if moment.kind is kind), None)

    @property
    def fault(self) -> float:
        """When the fault began; the end where there was none."""
        at = self.first(Kind.FAULT)
        return self.seen.ended if at is None else at


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit, and how what counts for it is found."""

    limit: Limit
    measure: Callable[[Limit, Course], Measured]


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill of the catalogue.

    `budget` and `awaits` may depend on how the cluster is configured. `prepare` looks at the cluster, which is steady,
    and decides whom to hurt; it raises NotPossible. `needs` says from the inventory alone why it is not possible
    here. `healing` is how long the cluster may take from the undo until it is steady.
    """

    name: str
    title: str
    budget: Callable[[Cluster], tuple[Rule, ...]]
    prepare: "Callable[[Ground], Fault]"
    awaits: Callable[[Cluster], tuple[Await, ...]] = lambda _cluster: ()
    needs: Callable[[Cluster], str | None] = lambda _cluster: None
    breaks_quorum: bool = False
    healing: float = STEADY_SECONDS
