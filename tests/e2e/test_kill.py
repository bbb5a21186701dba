"""`kill -9` of `up` at any moment, then `up` again: it converges.

A moment is so many changes into the bringing-up and up to a second more: ten of them, one in each tenth of it,
however fast the machine is. They are others in every run, but for continuous integration, which has to answer for
the change in hand; `E2E_SEED` repeats a run's moments.

Eight meet one and the same cluster: every `up` but the last goes on from what the killed one before it left, and is
killed in turn. Two meet bare hosts, of other topologies.
"""

import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pytest

from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory
from tests.e2e.topology import LOCAL, SINGLE, THREE, Topology, require

SEED = int(os.environ.get("E2E_SEED") or (443796 if os.environ.get("CI") else random.SystemRandom().randrange(10**6)))
MOMENTS = 10
SUBNET = IPv4Network("198.18.43.0/24")
NAME = f"{PREFIX}kill"


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill: after this part of all changes that bare hosts need, and so many seconds more."""

    part: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.part:.0%} and {self.seconds:.1f} s, seed {SEED}"


def moments() -> tuple[list[Moment], Mapping[str, tuple[Topology, Moment]]]:
    """Those of the cluster that is killed again and again, in order, and those of bare hosts."""
    chance = random.Random(SEED)
    parts = [(number + chance.random()) / MOMENTS for number in range(MOMENTS)]
    # The nearer the end, the shorter: what is left of the run takes seconds.
    every = [Moment(part, chance.random() * (1 - part)) for part in parts]
    apart = chance.sample(every, 2)
    return [moment for moment in every if moment not in apart], {
        f"{name}, {moment}": (topology, moment)
        for name, topology, moment in zip(("single", "local"), (SINGLE, LOCAL), apart, strict=True)
    }


AGAIN_AND_AGAIN, APART = moments()


@pytest.mark.parametrize("moments", [AGAIN_AND_AGAIN], ids=[f"seed {SEED}"])
def test_up_converges_after_being_killed_again_and_again(moments: Sequence[Moment], beds: BedFactory) -> None:
    bed = beds(THREE.lab(NAME, SUBNET))
    total = due(bed)
    for moment in moments:
        kill(bed, total, moment)
    bed.run("up").expect(0, "is ready")
    require(bed, THREE)


@pytest.mark.parametrize(("topology", "moment"), APART.values(), ids=APART.keys())
def test_up_converges_after_a_kill(topology: Topology, moment: Moment, beds: BedFactory) -> None:
    bed = beds(topology.lab(NAME, SUBNET), dict(topology.settings))
    kill(bed, due(bed), moment)
    bed.run("up").expect(0, "is ready")
    require(bed, topology)


def due(bed: Bed) -> int:
    """How many changes `up` would make now."""
    return sum(map(len, bed.plan().values()))


def kill(bed: Bed, total: int, moment: Moment) -> None:
    """Kill `up` when so much of all changes has been made, in this run and those before."""
    before = total - due(bed)
    made = 0
    with bed.start("up", "--json") as process:
        assert process.stdout
        try:
            while before + made < moment.part * total and (line := process.stdout.readline()):
                event = json.loads(line)
                assert "event" in event, f"ended before it could be killed: {moment}: {line}"
                made += event["event"] == "ChangeMade"
            time.sleep(moment.seconds)
            assert process.poll() is None, f"ended before it could be killed: {moment}"
        finally:
            process.kill()
    bed.note(f"killed after {before} and {made} of {total} changes")
