"""`upgrade`: to another version of Kubernetes, a host at a time, proven request by request."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.components.kubectl import kubectl
from kbootstrap.engine.journal import HOST_JOURNAL, parse_entries
from kbootstrap.engine.lock import new_owner
from kbootstrap.engine.plan import Plan
from kbootstrap.engine.strategy import batches
from kbootstrap.errors import InvalidInput, KbootstrapError, PreflightFailed, Problem
from kbootstrap.events import Note, Sink
from kbootstrap.facts.deprecations import DeprecatedRequests
from kbootstrap.facts.fact import read
from kbootstrap.facts.runs import LastLines
from kbootstrap.model import skew
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.settings import Serial
from kbootstrap.model.versions import Version
from kbootstrap.probes.recording import Observation
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.apply import Run, exclusive, execute
from kbootstrap.workflows.converge import connected, look_around
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.playbooks import builtin, in_batches
from kbootstrap.workflows.probing import ProbeSettings, probed
from kbootstrap.workflows.releases import Route, Stage, before, installed, route, stages
from kbootstrap.workflows.survey import FirstLook, Survey, make_survey

DRAINING = frozenset({"drained", "out-of-balancers"})
"""The guards that `--no-drain` leaves out."""

_JOURNAL = LastLines(HOST_JOURNAL, 200)


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. Without `target`: the inventory's version, or with `back` the one before the present."""

    target: Version | None = None
    back: bool = False
    batch: Serial | None = None
    drain: bool = True
    probes: bool = True
    """Watch what clients see of it."""
    rate: float | None = None
    """Requests per second of each probe; None: the probes' own."""
    removed_apis: bool = False
    """Go on although somebody asks for API versions that the target no longer has."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """What an upgrade does: its way, its plan, and what the versions are after each batch of hosts."""

    route: Route
    plan: Plan
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Upgraded:
    """How an upgrade went: what clients saw of it (None: it was not watched), and what stopped it, if anything."""

    run: str
    rollout: Rollout
    seen: Observation | None = None
    failure: KbootstrapError | None = None


def plan_upgrade(cluster: Cluster, order: Order, emit: Sink) -> Rollout:
    """What an upgrade would do now. Reads the hosts and changes nothing. Raises what forbids it."""
    with connected(cluster) as connections:
        return _prepared(cluster, connections, order, emit)[0]


def upgrade(cluster: Cluster, order: Order, emit: Sink) -> Upgraded:
    """Does it. A failure of the rollout is in the result, with what clients felt until then.

    Raises what forbids it: then nothing was changed. Running it again goes on from where it stopped.
    """
    owner = new_owner("upgrade")
    with connected(cluster) as connections, exclusive(cluster, connections, owner, emit) as held:
        sink = held.emit
        rollout, survey, target = _prepared(cluster, connections, order, sink)
        owner = replace(owner, command=rollout.route.command)
        without = frozenset() if order.drain else DRAINING
        if not (order.probes and rollout.plan.changes):
            execute(target, connections, survey, Run(owner, sink, without=without))
            return Upgraded(owner.run, rollout)
        failure: KbootstrapError | None = None
        settings = ProbeSettings(rate=order.rate) if order.rate else ProbeSettings()
        with probed(target, connections, sink, settings) as recording:
            try:
                execute(target, connections, survey, Run(owner, recording.watch(sink), without=without))
            except KbootstrapError as error:
                failure = error
        return Upgraded(owner.run, rollout, recording.observation(), failure)


def _prepared(
    cluster: Cluster, connections: Mapping[str, Connection], order: Order, emit: Sink
) -> tuple[Rollout, Survey, Cluster]:
    looks = look_around(cluster, connections, connections, emit)
    there = installed({name: look.facts for name, look in looks.items()})
    known = [Version.parse(companions.newest) for companions in load_catalogue().releases.values()]
    wanted = _target(cluster, connections, order, looks)
    way = route(there, wanted, known)
    _require_no_removed_apis(cluster, connections, way, order, emit)
    target = replace(cluster, kubernetes=way.target)
    playbook = in_batches(builtin(way.playbook), order.batch or cluster.settings.upgrades.batch)
    survey = make_survey(target, connections, looks, playbook, Path(), emit)
    rollout = Rollout(way, survey.plan, _stages(there, survey.plan, way.target))
    _require_skew(rollout)
    return rollout, survey, target


def _target(
    cluster: Cluster, connections: Mapping[str, Connection], order: Order, looks: Mapping[str, FirstLook]
) -> Version:
    there = installed({name: look.facts for name, look in looks.items()})
    if not order.back:
        newest = skew.newest(there)
        if order.target is None and newest is not None and cluster.kubernetes < newest:
            raise InvalidInput(
                f"the inventory says Kubernetes {cluster.kubernetes}, and hosts use {newest} already",
                hint=f"`upgrade --to {cluster.kubernetes}` or `--back` goes back",
            )
        return order.target or cluster.kubernetes
    journals = on_all(connections, lambda _name, connection: read(connection, (_JOURNAL,))[_JOURNAL])
    entries = [entry for text in journals.values() for entry in parse_entries(text)]
    return before(there, entries)


def _require_no_removed_apis(
    cluster: Cluster, connections: Mapping[str, Connection], way: Route, order: Order, emit: Sink
) -> None:
    """Every apiserver counts requests for what will be removed. Raises PreflightFailed, which names them."""
    if way.is_back:
        return
    facts = {
        host.name: DeprecatedRequests(kubectl(f"--server=https://{host.address}:{cluster.settings.endpoint.port}"))
        for host in cluster.control_planes
        if host.name in connections
    }
    seen = on_all(
        {name: connections[name] for name in facts}, lambda name, host: read(host, (facts[name],))[facts[name]]
    )
    gone = {request for found in seen.values() for request in found if _is_gone(request.removed, way.target)}
    if not gone:
        return
    if order.removed_apis:
        emit(Note(f"in use, and gone in {way.target}: {', '.join(map(str, sorted(gone)))}", level="warning"))
        return
    raise PreflightFailed(
        f"API versions that Kubernetes {way.target} no longer has are in use; nothing was changed",
        [Problem(str(request)) for request in sorted(gone)],
        hint="the audit log names who asks for them; --accept-removed-apis goes on all the same",
    )


def _is_gone(removed: str, target: Version) -> bool:
    major, _, minor = removed.partition(".")
    return (int(major), int(minor)) <= (target.major, target.minor)


def _stages(there: Mapping[str, Mapping[str, Version]], plan: Plan, target: Version) -> tuple[Stage, ...]:
    order = (
        tuple(batch)
        for phase in plan.playbook.phases
        for batch in batches(phase, [task for task in plan.tasks if task.phase == phase.phase])
    )
    return tuple(stages(there, order, target))


def _require_skew(rollout: Rollout) -> None:
    """The version skew policy holds after every batch. Raises PreflightFailed."""
    problems = [
        Problem(f"after {stage.phase} on {', '.join(stage.hosts)}: {violation}")
        for stage in rollout.stages
        for violation in stage.violations
    ]
    if problems:
        raise PreflightFailed(
            f"the way to {rollout.route.target} would break the version skew policy; nothing was changed", problems
        )
