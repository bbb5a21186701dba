"""How many hosts of a phase may change at a time."""

import math
from collections.abc import Sequence

from kbootstrap.engine.plan import Task
from kbootstrap.engine.playbook import Phase


def batches(phase: Phase, tasks: Sequence[Task]) -> list[list[Task]]:
    """The tasks of a phase in the groups that may run together.

    A rolling phase first brings up what does not serve, all of it at once; then it looks at the hosts that serve and
    stay as they are; then it changes those that serve, one by one. So a host that a run before this one has left
    unwell stops the rollout before the next one is touched.
    """
    if phase.serial is not None:
        return _by_size(phase.serial, tasks)
    if not phase.rolling:
        return [list(tasks)]
    idle = [task for task in tasks if not task.serving]
    settled = [task for task in tasks if task.serving and not task.changes]
    changing = [[task] for task in tasks if task.serving and task.changes]
    return [group for group in (idle, settled, *changing) if group]


def _by_size(serial: int | str, tasks: Sequence[Task]) -> list[list[Task]]:
    share = math.floor(len(tasks) * int(serial.rstrip("%")) / 100) if isinstance(serial, str) else serial
    size = max(1, share)
    return [list(tasks[start : start + size]) for start in range(0, len(tasks), size)]
