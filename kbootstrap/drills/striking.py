"""The fault: armed, made, watched, and undone in any case."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack

from kbootstrap.drills.arm import Undo, arm, armed_by, heal
from kbootstrap.drills.drill import Await, Fault
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.interrupts import unstoppable
from kbootstrap.drills.life import signs_of_life
from kbootstrap.drills.power import Power
from kbootstrap.drills.result import Kind
from kbootstrap.drills.steady import GENTLE, look, wait_until_calm, wait_until_steady
from kbootstrap.drills.story import Story, said
from kbootstrap.drills.watchdog import SWITCH_SECONDS
from kbootstrap.engine.journal import state_folder
from kbootstrap.errors import CheckFailed, KbootstrapError
from kbootstrap.transport.connection import Connection

ARMED_MARGIN = 30.0
"""How much later than the drill itself the armed undo would act."""

AWAIT_PAUSE = 0.25

CALM_SECONDS = 3.0
"""Without a failed request at the end, before the cluster counts as steady again."""

CALM_PATIENCE = 60.0


def strike_and_heal(ground: Ground, story: Story, fault: Fault, awaits: Sequence[Await]) -> None:
    """The fault, and its end in any case."""
    with ExitStack() as stack:

        def strike() -> None:
            _prepare(ground, story, fault, awaits)
            if fault.cuts_power and ground.power is not None:
                stack.enter_context(_power_watched(ground, ground.power, fault, awaits))
            _strike(ground, fault)
            _watch(ground, story, fault, awaits)

        try:
            _attempt(story, strike)
        except KeyboardInterrupt:
            story.cut = True
            story.problems.append("it was stopped in the middle, and what it did was undone")
        with unstoppable() as told:
            _heal(ground, story, fault)
        if told():
            story.cut = True
            ground.chronicle.note(Kind.NOTE, "somebody wanted to stop it while it was undone")


def _attempt(story: Story, work: Callable[[], None]) -> None:
    """What does not work is a problem, and no reason not to heal."""
    try:
        work()
    except KbootstrapError as error:
        story.problems.append(said(error))
    except Exception as error:
        story.problems.append(f"a fault of kbootstrap's own: {type(error).__name__}: {error}")


def _prepare(ground: Ground, story: Story, fault: Fault, awaits: Sequence[Await]) -> None:
    """Whatever becomes of this machine, the hosts heal. Before anything is done."""
    seconds = (longest(fault, awaits) + ARMED_MARGIN) * ground.scale
    mark = armed_by(ground.owner, story.drill.name)
    undos = {host: Undo(script, mark) for host, script in fault.undo.items()}
    if fault.before is not None:
        ahead = fault.before_seconds * ground.scale
        arm(ground.connections, undos, ahead + seconds)
        began = time.monotonic()
        fault.before(ground)
        if (took := time.monotonic() - began) > ahead:
            raise CheckFailed(f"what comes before the fault took {took:.0f} s, and {ahead:.0f} s are allowed")
    arm(ground.connections, undos, seconds)
    ground.chronicle.note(Kind.ARMED, f"the undo acts by itself after {seconds:.0f} s")


def _power_watched(ground: Ground, power: Power, fault: Fault, awaits: Sequence[Await]) -> AbstractContextManager[None]:
    """A process of its own gives the power back, when the switch has had its time to cut it and the drill its own."""
    seconds = SWITCH_SECONDS + (longest(fault, awaits) + ARMED_MARGIN) * ground.scale
    return power.watched(fault.hosts, seconds, state_folder(ground.cluster.name) / f"{ground.owner.run}.power.log")


def longest(fault: Fault, awaits: Sequence[Await]) -> float:
    return max([fault.seconds, *(one.seconds for one in awaits)])


def _strike(ground: Ground, fault: Fault) -> None:
    """Does it. The fault is there from the moment when it begins to be done."""
    if fault.cuts_power:
        _cut_power(ground, fault)
    else:
        ground.chronicle.note(Kind.FAULT, fault.title, ", ".join(fault.hosts))
        _carry_out(ground, fault)


def _cut_power(ground: Ground, fault: Fault) -> None:
    """Cuts it. The fault is there from the last sign of life of the first host that is gone."""
    signs = signs_of_life({host: ground.connections[host] for host in fault.hosts})
    ground.dark = frozenset(fault.hosts)
    gone = time.monotonic()
    try:
        if ground.power is not None:
            ground.power.cut(fault.hosts)
        else:
            _carry_out(ground, fault)
        gone = signs.ended()
    finally:
        ground.chronicle.note(Kind.FAULT, fault.title, ", ".join(fault.hosts), at=gone)


def _carry_out(ground: Ground, fault: Fault) -> None:
    def strike(host: str, connection: Connection) -> None:
        connection.run_script(f"set -eu\n{fault.strike[host]}\n").require("the fault could not be made")

    ground.on(tuple(fault.strike), strike)


def _watch(ground: Ground, story: Story, fault: Fault, awaits: Sequence[Await]) -> None:
    """As long as the fault is to last, and until what is awaited has come about or is too late."""
    began = time.monotonic()
    pending = list(awaits)
    while True:
        for one in list(pending):
            said = one.reached(ground)
            after = time.monotonic() - began
            if said is not None:
                pending.remove(one)
                story.reached[one.what] = time.monotonic()
                ground.chronicle.note(one.kind, said)
            elif after > one.seconds * ground.scale:
                pending.remove(one)
                ground.chronicle.note(Kind.NOTE, f"not within {after:.0f} s: {one.what}")
        if not pending and time.monotonic() - began >= fault.seconds:
            return
        time.sleep(AWAIT_PAUSE)


def _heal(ground: Ground, story: Story, fault: Fault) -> None:
    """Undoes everything, and waits for the steady state."""
    ground.chronicle.note(Kind.RECOVER, "what was done is undone")
    for step in _steps(ground, story, fault):
        _attempt(story, step)
    _attempt(story, lambda: _wait_until_as_before(ground, story))


def _wait_until_as_before(ground: Ground, story: Story) -> None:
    patience = story.drill.healing * ground.scale
    seen = wait_until_steady(lambda: look(ground.cluster, ground.connections, GENTLE), time.monotonic() + patience)
    at = time.monotonic()
    if seen.troubles:
        story.problems += [f"not steady again within {patience:.0f} s", *seen.troubles]
        return
    failed = wait_until_calm(ground.recording, CALM_SECONDS, at + CALM_PATIENCE)
    if failed:
        story.problems += [f"requests fail {CALM_PATIENCE:.0f} s after the cluster was found steady", *failed]
        return
    ground.chronicle.note(Kind.STEADY_AGAIN, "everything is as it was before", at=at)


def _steps(ground: Ground, story: Story, fault: Fault) -> Iterator[Callable[[], None]]:
    """What undoes the fault, in order."""
    if fault.cuts_power:
        yield lambda: _give_power(ground, fault)
    if fault.recover is not None and not story.cut:
        recover = fault.recover
        yield lambda: recover(ground)
    yield lambda: _undo(ground, story, fault)


def _undo(ground: Ground, story: Story, fault: Fault) -> None:
    by_itself = heal({host: ground.connections[host] for host in fault.undo})
    if by_itself:
        story.problems.append(f"the undo on {', '.join(by_itself)} acted by itself before the drill was over")


def _give_power(ground: Ground, fault: Fault) -> None:
    if ground.power is not None:
        ground.power.give(fault.hosts)
    ground.back(fault.hosts)
    ground.chronicle.note(Kind.NOTE, f"{', '.join(fault.hosts)} can be logged in to")
