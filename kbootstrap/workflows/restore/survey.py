"""The plan of a restore: steps of components and of its own, with the keys that the restored cluster goes on with."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from kbootstrap.components.catalogue import COMPONENTS
from kbootstrap.components.site import Site
from kbootstrap.engine.plan import HostSteps, host_steps, make_plan, needs
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.engine.selectors import selected
from kbootstrap.facts.fact import read
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki.authority import Pki
from kbootstrap.steps.step import Step
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.apply import Run
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.restore.steps import PHASES, Restoration
from kbootstrap.workflows.supplies import supplies_for
from kbootstrap.workflows.survey import FirstLook, Survey


class Judged(Protocol):
    """What a plan is made from."""

    @property
    def cluster(self) -> Cluster: ...
    @property
    def connections(self) -> Mapping[str, Connection]: ...
    @property
    def looks(self) -> Mapping[str, FirstLook]: ...
    @property
    def pki(self) -> Pki: ...
    @property
    def restoration(self) -> Restoration: ...
    @property
    def run(self) -> Run: ...


def restoring_survey(ready: Judged, playbook: Playbook) -> Survey:
    """The plan for all hosts. Reads them once more, since the first look."""
    facts = {name: look.facts for name, look in ready.looks.items()}
    supplies = supplies_for(ready.cluster, facts, ready.run.emit)
    moment = datetime.now(UTC)
    sites = {
        name: Site(
            cluster=ready.cluster,
            host=ready.cluster.host(name),
            facts=facts[name],
            release=supplies.release,
            artifacts=supplies.artifacts,
            pki=ready.pki,
            now=moment,
            packages=supplies.packages.get(name),
            files=supplies.files,
        )
        for name in ready.connections
    }
    steps = {name: _steps(playbook, site, ready.restoration) for name, site in sites.items()}
    seen = on_all(ready.connections, lambda name, connection: read(connection, needs(steps[name])))
    return Survey(sites, make_plan(playbook, steps, seen), supplies)


def _steps(playbook: Playbook, site: Site, restoration: Restoration) -> HostSteps:
    def steps(phase: Phase) -> Sequence[Step] | None:
        if not selected(phase.hosts, site.cluster, site.host):
            return None
        own = PHASES[phase.phase](site, restoration) if phase.phase in PHASES else []
        return [*(step for name in phase.components for step in COMPONENTS[name](site)), *own]

    return host_steps(playbook, steps)
