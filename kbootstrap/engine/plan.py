"""A plan: every change that is due, by phase and host. Making one is pure."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.steps.step import Change, Serving, Step

HostSteps = Mapping[str, Sequence[Step]]
"""The steps of one host, by phase, in the playbook's order."""


@dataclass(frozen=True, slots=True)
class Task:
    """The changes of one phase on one host, in order."""

    phase: str
    host: str
    changes: tuple[Change, ...]
    serving: bool = False
    """Whether a unit of this phase ran on the host when the plan was made."""

    @property
    def disrupts(self) -> bool:
        """Whether clients of this host would feel it."""
        return self.serving and any(change.disrupts for change in self.changes)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a playbook would change now. A host that a phase concerns has a task, empty or not."""

    playbook: Playbook
    tasks: tuple[Task, ...]

    @property
    def changes(self) -> int:
        return sum(len(task.changes) for task in self.tasks)

    @property
    def fingerprint(self) -> str:
        """Equal for plans that lead to the same state by the same changes."""
        digest = hashlib.sha256()
        for task in self.tasks:
            for change in task.changes:
                line = f"{task.phase}\0{task.host}\0{change.title}\0{change.fingerprint}\n"
                digest.update(line.encode())
        return digest.hexdigest()

    @property
    def deliveries(self) -> frozenset[str]:
        """The digests of all artifacts that the hosts will fetch."""
        return frozenset(sha256 for task in self.tasks for change in task.changes for sha256 in change.deliveries)

    def phase(self, name: str) -> Phase:
        """The playbook's phase of that name; raises StopIteration."""
        return next(phase for phase in self.playbook.phases if phase.phase == name)

    def hosts(self, phase: Phase) -> tuple[str, ...]:
        """The hosts that a phase concerns, in order."""
        return tuple(task.host for task in self.tasks if task.phase == phase.phase)


def host_steps(playbook: Playbook, steps: Callable[[Phase], Sequence[Step] | None]) -> HostSteps:
    """The steps of every phase that concerns a host; `steps` answers None for a phase that does not."""
    found = ((phase.phase, steps(phase)) for phase in playbook.phases)
    return {name: wanted for name, wanted in found if wanted is not None}


def needs(steps: HostSteps) -> list[Fact[Any]]:
    """Everything that has to be read from a host before its changes can be told."""
    return [fact for phase in steps.values() for step in phase for fact in step.needs()]


def make_plan(playbook: Playbook, steps: Mapping[str, HostSteps], seen: Mapping[str, Facts]) -> Plan:
    """The changes that are due on every host, given what was read from it."""
    by_host = {host: _changes(wanted, seen[host]) for host, wanted in steps.items()}
    tasks = (
        Task(phase.phase, host, changes[phase.phase], _serves(steps[host][phase.phase], seen[host]))
        for phase in playbook.phases
        for host, changes in by_host.items()
        if phase.phase in changes
    )
    return Plan(playbook, _without_idle_preludes(playbook, tuple(tasks)))


def _without_idle_preludes(playbook: Playbook, tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """What goes ahead of other changes is not due when there are none."""
    ahead = {phase.phase for phase in playbook.phases if phase.ahead}
    if any(task.changes for task in tasks if task.phase not in ahead):
        return tasks
    return tuple(replace(task, changes=()) if task.phase in ahead else task for task in tasks)


def reordered(plan: Plan, last: Mapping[str, Collection[str]]) -> Plan:
    """The plan with the hosts in `last` (by phase) at the end of their phase."""
    order = [phase.phase for phase in plan.playbook.phases]
    return replace(
        plan,
        tasks=tuple(
            sorted(plan.tasks, key=lambda task: (order.index(task.phase), task.host in last.get(task.phase, ())))
        ),
    )


def _serves(steps: Sequence[Step], seen: Facts) -> bool:
    return any(step.serves(seen) for step in steps if isinstance(step, Serving))


def _changes(steps: HostSteps, seen: Facts) -> dict[str, tuple[Change, ...]]:
    touched: set[PurePosixPath] = set()
    found: dict[str, tuple[Change, ...]] = {}
    for phase, wanted in steps.items():
        changes = []
        for step in wanted:
            change = step.diff(seen, touched)
            if change is not None:
                touched |= change.paths
                changes.append(change)
        found[phase] = tuple(changes)
    return found
