"""From hosts as they are to a plan: who they are, whose keys they hold, what differs from what should be."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbootstrap.components.catalogue import COMPONENTS
from kbootstrap.components.site import Site
from kbootstrap.engine.plan import HostSteps, Plan, host_steps, make_plan, needs
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.engine.selectors import selected
from kbootstrap.events import Sink
from kbootstrap.facts.fact import Fact, Facts, read
from kbootstrap.facts.identity import Identity
from kbootstrap.facts.packages import InstalledPackages
from kbootstrap.facts.pki import pki_facts
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.pki.authority import Pki
from kbootstrap.steps.step import Step
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.generic import to_step
from kbootstrap.workflows.keys import cluster_keys
from kbootstrap.workflows.leaders import leaders_last
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.supplies import Supplies, supplies_for


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What is read from a host before anything is decided, and how its clock differs from this machine's."""

    facts: Facts
    clock_offset: float
    """Seconds ahead of this machine's clock."""
    clock_error: float = 0.0
    """How far off that may be at most: half of the time in which the host read its clock."""


@dataclass(frozen=True, slots=True)
class Survey:
    """A plan, and what it was made from."""

    sites: Mapping[str, Site]
    plan: Plan
    supplies: Supplies


MoreSteps = Callable[[Phase, Site], Sequence[Step]]
"""What a phase does to a host beside what its components and the playbook say."""


def first_look(
    cluster: Cluster, connections: Mapping[str, Connection], more: Mapping[str, Sequence[Fact[Any]]] | None = None
) -> dict[str, FirstLook]:
    """One round trip to every host; `more` are further facts that the caller wants from it."""

    def look(name: str, connection: Connection) -> FirstLook:
        host = cluster.host(name)
        before = time.time()
        wanted: tuple[Fact[Any], ...] = (Identity(), InstalledPackages(), *pki_facts(host), *(more or {}).get(name, ()))
        facts = read(connection, wanted)
        after = time.time()
        return FirstLook(facts, facts[Identity()].clock - (before + after) / 2, (after - before) / 2)

    return on_all(connections, look)


def make_survey(
    cluster: Cluster,
    connections: Mapping[str, Connection],
    looks: Mapping[str, FirstLook],
    playbook: Playbook,
    folder: Path,
    emit: Sink,
    *,
    pki: Pki | None = None,
    more: MoreSteps = lambda _phase, _site: (),
) -> Survey:
    """The plan for the hosts in `connections`; `looks` may be of more. `folder` is where the playbook's files are.

    `pki` are the cluster's keys where they are not those of its hosts. Obtains the artifacts first, which may take
    long the first time.
    """
    now = datetime.now(UTC)
    limit = frozenset(connections) if len(connections) < len(cluster.hosts) else None
    facts = {name: look.facts for name, look in looks.items()}
    keys = pki or cluster_keys(cluster, facts, now)
    supplies = supplies_for(cluster, facts, emit)
    sites = {name: _site(cluster, cluster.host(name), facts[name], keys, supplies, now, limit) for name in connections}
    steps = {name: _steps(playbook, folder, site, more) for name, site in sites.items()}
    seen = on_all(connections, lambda name, connection: read(connection, needs(steps[name])))
    return Survey(sites, leaders_last(make_plan(playbook, steps, seen), connections), supplies)


def _site(
    cluster: Cluster,
    host: Host,
    facts: Facts,
    pki: Pki,
    supplies: Supplies,
    now: datetime,
    limit: frozenset[str] | None,
) -> Site:
    return Site(
        cluster=cluster,
        host=host,
        facts=facts,
        release=supplies.release,
        artifacts=supplies.artifacts,
        pki=pki,
        now=now,
        packages=supplies.packages.get(host.name),
        files=supplies.files,
        limit=limit,
    )


def _steps(playbook: Playbook, folder: Path, site: Site, more: MoreSteps) -> HostSteps:
    def steps(phase: Phase) -> Sequence[Step] | None:
        if not selected(phase.hosts, site.cluster, site.host):
            return None
        generic = [
            to_step(step, f"{playbook.name}-{phase.phase}-{number}", folder, site.cluster, site.host)
            for number, step in enumerate(phase.steps)
        ]
        of_components = (step for name in phase.components for step in COMPONENTS[name](site))
        return [*of_components, *generic, *more(phase, site)]

    return host_steps(playbook, steps)
