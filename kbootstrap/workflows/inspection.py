"""`preflight`: everything that can be known of the hosts before they become a cluster, also what takes seconds."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kbootstrap.errors import KbootstrapError
from kbootstrap.events import Note, Sink
from kbootstrap.facts.fact import read
from kbootstrap.facts.identity import HostIdentity, Identity
from kbootstrap.model.cluster import Cluster
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import reached
from kbootstrap.workflows.fitness.between import between, between_facts
from kbootstrap.workflows.fitness.finding import Finding
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.preflight import judge, preflight_facts
from kbootstrap.workflows.survey import FirstLook, first_look


@dataclass(frozen=True, slots=True)
class Inspected:
    """A host and what was found on it; `identity` is None when it could not be read."""

    host: str
    identity: HostIdentity | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What `preflight` found."""

    hosts: tuple[Inspected, ...]
    seconds: float

    @property
    def errors(self) -> int:
        """Findings that stand in the way of a cluster."""
        return sum(finding.stops for host in self.hosts for finding in host.findings)

    @property
    def warnings(self) -> int:
        return sum(not finding.stops for host in self.hosts for finding in host.findings)


def deep_preflight(cluster: Cluster, emit: Sink) -> Report:
    """Reads and judges every host. A host that cannot be reached or read is a finding, not a failure."""
    began = time.monotonic()
    with reached(cluster) as (connections, failures):
        emit(Note(f"{len(connections)} of {len(cluster.hosts)} hosts reached"))
        outcomes = on_all(connections, lambda name, connection: _look(cluster, name, connection))
    looks = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, FirstLook)}
    failures |= {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, KbootstrapError)}
    return Report(_inspected(cluster, looks, failures), time.monotonic() - began)


def _look(cluster: Cluster, name: str, connection: Connection) -> FirstLook | KbootstrapError:
    """Two round trips: a clock that is read among things that take seconds tells little."""
    host = cluster.host(name)
    try:
        look = first_look(cluster, {name: connection}, {name: preflight_facts(cluster, host)})[name]
        return replace(look, facts=look.facts.merged(read(connection, between_facts(cluster, host))))
    except KbootstrapError as error:
        return error


def _inspected(
    cluster: Cluster, looks: Mapping[str, FirstLook], failures: Mapping[str, KbootstrapError]
) -> tuple[Inspected, ...]:
    found = judge(cluster, looks)
    for name, look in looks.items():
        found += between(cluster, cluster.host(name), look.facts)
    for name, failure in failures.items():
        found.append(Finding(name, "access", failure.message, failure.hint or "see `kbootstrap preflight --json`"))
    return tuple(
        Inspected(
            host.name,
            looks[host.name].facts[Identity()] if host.name in looks else None,
            tuple(finding for finding in found if finding.host == host.name),
        )
        for host in cluster.hosts
    )
