"""Whether the hosts are fit: judged from their first look in every plan, before anything is changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from kbootstrap.errors import PreflightFailed, Problem
from kbootstrap.events import Note, Sink
from kbootstrap.facts.fact import Fact
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.workflows.fitness.clocks import Clock, clocks
from kbootstrap.workflows.fitness.disks import disk_facts, disks
from kbootstrap.workflows.fitness.finding import Finding, HostCheck
from kbootstrap.workflows.fitness.machine import machine, machine_facts
from kbootstrap.workflows.fitness.network import network, network_facts, networks
from kbootstrap.workflows.fitness.residents import resident_facts, residents
from kbootstrap.workflows.survey import FirstLook

HOST_CHECKS: tuple[HostCheck, ...] = (machine, disks, network, residents)


def preflight_facts(cluster: Cluster, host: Host) -> Sequence[Fact[Any]]:
    """What has to be read from a host to judge it, beside its identity."""
    sources = (machine_facts, disk_facts, network_facts, resident_facts)
    return [fact for source in sources for fact in source(cluster, host)]


def judge(cluster: Cluster, looks: Mapping[str, FirstLook]) -> list[Finding]:
    """Everything found on all hosts, in the inventory's order."""
    facts = {host.name: looks[host.name].facts for host in cluster.hosts if host.name in looks}
    found = [
        finding
        for name, seen in facts.items()
        for check in HOST_CHECKS
        for finding in check(cluster, cluster.host(name), seen)
    ]
    found += networks(cluster, facts)
    found += clocks(cluster, {name: Clock(looks[name].clock_offset, looks[name].clock_error) for name in facts})
    order = {name: number for number, name in enumerate(facts)}
    return sorted(found, key=lambda finding: order[finding.host])


def findings(cluster: Cluster, looks: Mapping[str, FirstLook]) -> list[Problem]:
    """What makes hosts unfit: nothing may be installed before it is mended."""
    return [finding.problem for finding in judge(cluster, looks) if finding.stops]


def warnings(cluster: Cluster, looks: Mapping[str, FirstLook]) -> list[Problem]:
    """What does not stop an installation, and should be known."""
    return [finding.problem for finding in judge(cluster, looks) if not finding.stops]


def require_fit(cluster: Cluster, looks: Mapping[str, FirstLook], emit: Sink) -> None:
    """Raises PreflightFailed with everything that makes any host unfit, if anything does; tells of the rest."""
    for warning in warnings(cluster, looks):
        emit(Note(warning.message, level="warning"))
    problems = findings(cluster, looks)
    if problems:
        raise PreflightFailed(
            "the hosts are not fit for this cluster; nothing was changed",
            problems,
            hint="mend what is named above, then run the same command again",
        )
