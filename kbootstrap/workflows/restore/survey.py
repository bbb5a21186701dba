"""The plan of a restore: steps of components and of its own, with the keys that the restored cluster goes on with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from kbootstrap.components.site import Site
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki.authority import Pki
from kbootstrap.steps.step import Step
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.apply import Run
from kbootstrap.workflows.restore.steps import PHASES, Restoration
from kbootstrap.workflows.survey import FirstLook, Survey, make_survey


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

    def own(phase: Phase, site: Site) -> Sequence[Step]:
        return PHASES[phase.phase](site, ready.restoration) if phase.phase in PHASES else ()

    return make_survey(
        ready.cluster,
        ready.connections,
        ready.looks,
        playbook,
        Path(),
        ready.run.emit,
        pki=ready.pki,
        more=own,
    )
