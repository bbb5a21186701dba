"""`kill -9` of `up` at any moment, then `up` again: it converges.

A moment is so many changes into the run and up to a second more: spread over the whole of it, however fast the
machine is. `E2E_SEED` repeats a run's moments.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

import pytest

from kbootstrap.lab.spec import LabSpec, standard
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory

SEED = int(os.environ.get("E2E_SEED") or random.SystemRandom().randrange(10**6))
SMALL, LARGE = (1, 1), (3, 1)
"""Control planes and workers."""
SUBNET = IPv4Network("198.18.43.0/24")


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill: after this part of all changes, and so many seconds more."""

    part: float
    seconds: float
    hosts: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.part:.0%} and {self.seconds:.1f} s, {self.hosts[0]}+{self.hosts[1]} hosts, seed {SEED}"


def moments() -> Iterator[Moment]:
    """One in each tenth of a run, so that none is left out; two of them with three control planes."""
    chance = random.Random(SEED)
    large = {chance.randrange(2, 6), chance.randrange(6, 10)}
    for number in range(10):
        part = (number + chance.random()) / 10
        yield Moment(part, chance.random(), LARGE if number in large else SMALL)


@pytest.mark.parametrize("moment", list(moments()), ids=str)
def test_up_converges_after_a_kill(moment: Moment, beds: BedFactory) -> None:
    bed = beds(lab(*moment.hosts))
    total = sum(map(len, bed.plan().values()))
    made = killed_after(bed, int(moment.part * total), moment.seconds)
    bed.note(f"killed after {made} of {total} changes")
    bed.run("up").expect(0, "is ready")
    bed.require_converged()


def lab(control_planes: int, workers: int) -> LabSpec:
    return standard(name=f"{PREFIX}kill", subnet=SUBNET, control_planes=control_planes, workers=workers)


def killed_after(bed: Bed, changes: int, seconds: float) -> int:
    """How many changes `up` had made when it was killed."""
    made = 0
    with bed.start("up", "--json") as process:
        assert process.stdout
        try:
            while made < changes and (line := process.stdout.readline()):
                made += json.loads(line)["event"] == "ChangeMade"
            time.sleep(seconds)
        finally:
            process.kill()
    return made
