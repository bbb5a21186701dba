"""How many hosts of a phase may change at a time."""

import math
from collections.abc import Sequence

from kbootstrap.engine.plan import Task
from kbootstrap.engine.playbook import Phase


def batches(phase: Phase, tasks: Sequence[Task]) -> list[list[Task]]:
    """The tasks of a phase in the groups that may run together.

    A rolling phase first brings up what does not serve, all of it at once; then it looks at the hosts that serve and
    stay as they are; then it changes those that serve, one by one or as many at a time as `serial` says. So a host
    that a run before this one has left unwell stops the rollout before the next one is touched.
    """
    if not phase.rolling:
        return _by_size(size_of(phase.serial or "100%", len(tasks)), tasks)
    idle = [task for task in tasks if not task.serving]
    settled = [task for task in tasks if task.serving and not task.changes]
    changing = [task for task in tasks if task.serving and task.changes]
    groups = _by_size(size_of(phase.serial or 1, len(tasks)), changing)
    return [group for group in (idle, settled, *groups) if group]


def size_of(serial: int | str, hosts: int) -> int:
    """How many hosts at a time: a percentage is of all hosts of the phase, rounded down, and at least one."""
    share = math.floor(hosts * int(serial.rstrip("%")) / 100) if isinstance(serial, str) else serial
    return max(1, share)


def _by_size(size: int, tasks: Sequence[Task]) -> list[list[Task]]:
    return [list(tasks[start : start + size]) for start in range(0, len(tasks), size)]
