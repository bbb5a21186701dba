"""Runs one drill: steady, armed, one fault, watched, healed in any case, steady again, judged."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from kbootstrap.drills.arm import heal, left_behind
from kbootstrap.drills.chronicle import Chronicle
from kbootstrap.drills.drill import Await, Drill, Fault
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.guards import (
    NotPossible,
    Refused,
    require_permission,
    require_quorum,
    require_steady,
    require_watchdog,
)
from kbootstrap.drills.interrupts import stoppable
from kbootstrap.drills.lookout import Hearer, Lookout
from kbootstrap.drills.measure import READS, WRITES, serving
from kbootstrap.drills.power import power_of
from kbootstrap.drills.readers import member_readers
from kbootstrap.drills.result import DrillResult, Kind, Verdict
from kbootstrap.drills.setting import setting
from kbootstrap.drills.steady import (
    BASELINE_SECONDS,
    GENTLE,
    look,
    wait_until_calm,
    wait_until_quick,
    wait_until_steady,
)
from kbootstrap.drills.story import Story, judged
from kbootstrap.drills.striking import longest, strike_and_heal
from kbootstrap.engine.journal import Entry, now, record, recorded, state_folder
from kbootstrap.engine.lock import locked, new_owner
from kbootstrap.errors import KbootstrapError
from kbootstrap.events import Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.workflows.access import reached
from kbootstrap.workflows.past import DRILL
from kbootstrap.workflows.probing import ProbeSettings, probed

BASELINE_PATIENCE = 30.0
"""For requests that do not fail, then for quick ones: what brings the probes' application is work for the cluster."""

GRACE_SECONDS = 6.0
"""For what is only a moment's trouble when a drill begins: a proxy that waits for three good answers."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. `allowed` is the cluster that may be hurt although users depend on it."""

    allowed: str | None = None
    rate: float | None = None
    """Requests per second of each probe; None: as the inventory says. A worker never sends more than it says."""
    identity: Path | None = None
    """The private key of backups, for drills that restore one."""


def run_drill(cluster: Cluster, drill: Drill, order: Order, emit: Sink) -> DrillResult:
    """Runs a drill. What stands in its way is in the result; what it does is undone, also after an interrupt.

    Raises what nobody foresaw, and KeyboardInterrupt before anything was done.
    """
    owner = new_owner(f"{DRILL}{drill.name}")
    story = Story(drill, cluster, owner, Chronicle(emit))
    try:
        require_permission(cluster, order.allowed)
        if (why := drill.needs(cluster)) is not None:
            raise NotPossible(f"not possible here: {why}")
        with stoppable(), _ground(story, order, emit) as (ground, sink):
            return _drill(ground, story, order, sink)
    except Refused as refused:
        story.problems += (*refused.reasons, *([refused.hint] if refused.hint else []))
        return replace(story.result(Verdict.REFUSED), possible=not isinstance(refused, NotPossible))
    except KbootstrapError as error:
        if story.chronicle.first(Kind.FAULT) is not None:
            raise
        story.problems.append(str(error))
        return story.result(Verdict.REFUSED)


@contextmanager
def _ground(story: Story, order: Order, emit: Sink) -> Iterator[tuple[Ground, Sink]]:
    """The cluster, connected, locked and steady. Raises Refused, Locked."""
    cluster, owner = story.cluster, story.owner
    with ExitStack() as stack:
        connections, failures = stack.enter_context(reached(cluster))
        require_steady([f"{host} cannot be reached: {failure.message}" for host, failure in failures.items()])
        locks = stack.enter_context(ExitStack())
        locks.enter_context(locked(connections, owner))
        sink = stack.enter_context(recorded(state_folder(cluster.name), owner.run, emit))
        story.chronicle.emit = sink
        patience = GRACE_SECONDS * cluster.settings.timeouts.scale
        if left := left_behind(connections):
            heal(connections)
            patience = story.drill.healing
            for host, mark in left.items():
                how = f"the host healed itself at {mark.undone}" if mark.undone else "it is undone now"
                story.remarks.append(
                    f"{host}: the drill {mark.drill} of {mark.who} ({mark.since}) was cut short; {how}"
                )
        seen = wait_until_steady(lambda: look(cluster, connections), time.monotonic() + patience)
        require_steady(seen.troubles)
        power = power_of(cluster)
        holders = frozenset(seen.status.vip_holders)
        ground = Ground(
            cluster, connections, owner, story.chronicle, power, seen.status, locks, order.identity, holders=holders
        )
        story.setting = setting(cluster, seen.status)
        yield ground, sink


def _drill(ground: Ground, story: Story, order: Order, emit: Sink) -> DrillResult:
    cluster, drill = ground.cluster, story.drill
    awaits = drill.awaits(cluster)

    @cache
    def fault() -> Fault:
        """Decided when the application runs: a drill may hurt the host that it is on."""
        decided = drill.prepare(ground)
        require_quorum(cluster, drill, decided)
        require_watchdog(decided, ground.power)
        ground.hurt = story.hosts = decided.hosts
        return decided

    readers = member_readers(cluster, ground.connections)
    rates = cluster.settings.drills.probe_rates
    rate = order.rate or rates.control
    settings = ProbeSettings(
        rate=rate,
        # Load balancers are no nodes, so NodePorts are not at their address.
        entry="nodes" if cluster.settings.endpoint.mode == "external" else "endpoint",
        watch=True,
        etcd=True,
        worker_rate=min(rates.worker, rate),
        hurt=lambda: fault().hosts,
        readers=readers,
    )
    with ExitStack() as journal:
        with probed(cluster, ground.connections, emit, settings) as recording:
            ground.recording = recording
            if recording.place:
                story.notes.append(recording.place)
            _look_again(ground, drill, fault())
            failed = wait_until_calm(recording, BASELINE_SECONDS, time.monotonic() + BASELINE_PATIENCE)
            if failed:
                raise Refused("requests fail before anything is done", failed)
            wait_until_quick(recording, BASELINE_SECONDS, time.monotonic() + BASELINE_PATIENCE)
            ground.chronicle.note(Kind.STEADY, f"no request failed for {BASELINE_SECONDS:.0f} s")
            journal.enter_context(_journalled(ground, story))
            heard = ground.lit((*cluster.control_planes, *cluster.vip_hosts))
            with _lookout(ground, fault(), awaits).listening(heard):
                strike_and_heal(ground, story, fault(), awaits)
        story.seen, story.kept_until = recording.observation(), ground.kept_until
        at = serving(story.seen, ground.chronicle.first(Kind.FAULT) or 0.0, (*READS, *WRITES))
        if at is not None:
            ground.chronicle.note(Kind.SERVING, "the first good request after the last that failed", at=at)
        return judged(story)


def _look_again(ground: Ground, drill: Drill, decided: Fault) -> None:
    """To bring the probes took a while. Who leads or holds the VIP now is whom the fault is for. Raises Refused."""
    seen = look(ground.cluster, ground.connections, GENTLE)
    require_steady(seen.troubles)
    ground.status, ground.holders = seen.status, frozenset(seen.status.vip_holders)
    now = drill.prepare(ground)
    if now.hosts != decided.hosts:
        raise Refused(
            f"{', '.join(now.hosts)} would be hurt now, and it was {', '.join(decided.hosts)} when the drill began",
            hint="run it again",
        )


def _lookout(ground: Ground, fault: Fault, awaits: Sequence[Await]) -> Lookout:
    members = {f"{one.member:x}": name for name, one in ground.status.members.items() if one is not None}
    names = {str(host.address): host.name for host in ground.cluster.hosts}
    holders = {host.name for host in ground.cluster.vip_hosts}

    def hold(host: str, has: bool) -> None:
        ground.holders = ground.holders | {host} if has else ground.holders - {host}

    def hearer(host: str) -> Hearer:
        vip = ground.cluster.endpoint_host if host in holders else ""  # real servers of LVS have it too
        return Hearer(host, vip, members, names, ground.chronicle, hold)

    return Lookout(ground.owner.run, (longest(fault, awaits) + 600) * ground.scale, hearer)


OUTCOMES = {Verdict.PASSED: "ok", Verdict.FAILED: "failed", Verdict.CUT_SHORT: "interrupted"}
"""Verdicts in the words of the hosts' journals."""


@contextmanager
def _journalled(ground: Ground, story: Story) -> Iterator[None]:
    """Notes on every host that a drill began, and its verdict: one that never ended is a drill that was cut short."""
    began = time.monotonic()
    owner = ground.owner
    entry = Entry(owner.run, now(), owner.who, owner.command, "started", 1)
    record(ground.connections, entry)
    try:
        yield
    finally:
        outcome = OUTCOMES[story.verdict or Verdict.CUT_SHORT]
        error = story.problems[0] if story.problems else ""
        seconds = round(time.monotonic() - began, 1)
        record(ground.connections, replace(entry, at=now(), outcome=outcome, seconds=seconds, error=error))
