"""How many hosts of a phase may change at a time."""

import math
from collections.abc import Sequence

from kbootstrap.engine.playbook import Phase


def batches(phase: Phase, hosts: Sequence[str], *, established: bool) -> list[tuple[str, ...]]:
    """The hosts of a phase in the groups that may change together.

    `established` tells whether the phase's service already runs somewhere: a rolling phase then goes one by one.
    """
    size = _size(phase, len(hosts), established)
    return [tuple(hosts[start : start + size]) for start in range(0, len(hosts), size)]


def _size(phase: Phase, hosts: int, established: bool) -> int:
    if phase.serial is None:
        return 1 if phase.rolling and established else max(1, hosts)
    if isinstance(phase.serial, str):
        return max(1, math.floor(hosts * int(phase.serial.rstrip("%")) / 100))
    return phase.serial
