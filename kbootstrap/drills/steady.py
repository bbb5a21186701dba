"""The steady state: what must hold before a drill and again after it. `status` and the playbooks use the same."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kbootstrap.checks.catalogue import CHECKS, Scope
from kbootstrap.drills.measure import failed_since, jitter, slow
from kbootstrap.errors import KbootstrapError
from kbootstrap.model.cluster import Cluster
from kbootstrap.probes.recording import Recording
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.diagnosis import degraded
from kbootstrap.workflows.parallel import MAX_PARALLEL, on_all
from kbootstrap.workflows.status import Status, status_through

CHECKED = ("etcd-in-step", "nodes-ready", "dns-ready")
"""The checks that look at the whole cluster; the rest of the steady state is what `status` reads of each host."""

BASELINE_SECONDS = 4.0
"""Without a failed request, before anything is done: two hundred of each probe."""

LOOK_PAUSE = 0.5
CALM_PAUSE = 0.5

GENTLE = 1
"""How many hosts are looked at at once while probes measure: a look takes each some 0.2 s of a processor, and where
hosts share processors, those of all at once would be an outage of the drill's own making."""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How a cluster is; `troubles` says in words what keeps it from being steady."""

    status: Status
    troubles: tuple[str, ...]


def status_now(cluster: Cluster, connections: Mapping[str, Connection]) -> tuple[str, ...]:
    """What `status` says now that is not as it should be."""
    status = status_through(cluster, connections)
    return tuple(f"{trouble.where}: {trouble.what}" for trouble in degraded(status, cluster.settings))


def look(cluster: Cluster, connections: Mapping[str, Connection], at_once: int = MAX_PARALLEL) -> Steadiness:
    """One look at all hosts, at so many at once."""
    status = status_through(cluster, connections, at_once=at_once)
    found = [f"{trouble.where}: {trouble.what}" for trouble in degraded(status, cluster.settings)]
    found += _misplaced(cluster, status)
    found += [
        f"the apiserver {one.server} is {one.state} for the proxies of {', '.join(one.hosts)}: {one.reason}"
        for one in status.passed_over
    ]
    return Steadiness(status, tuple(found) or _checked(cluster, connections, at_once))


def _misplaced(cluster: Cluster, status: Status) -> list[str]:
    """The VIP on another load balancer than the one that takes it back: it would move in the middle of the next drill.

    That exactly one has it is what `status` looks at.
    """
    preferred = cluster.settings.load_balancer.preferred
    if preferred is None or not status.vip_holders or preferred in status.vip_holders:
        return []
    return [f"the VIP is on {', '.join(status.vip_holders)}, and {preferred} is about to take it back"]


def _checked(cluster: Cluster, connections: Mapping[str, Connection], at_once: int) -> tuple[str, ...]:
    """What the checks say that are about all hosts together; each is asked once."""
    asked = next(host for host in cluster.control_planes if host.name in connections)
    scope = Scope(cluster, asked, cluster.hosts)

    def ask(name: str, _: str) -> str:
        check = CHECKS[name](scope)
        who = next((host for host in check.asked if host in connections), asked.name)
        probe = f"remaining() {{ echo 1; }}\n( {check.probe}\n) 2>&1"
        said = connections[who].run_script(probe, timeout=30)
        return "" if said.ok else f"{name}: {said.text[-300:] or 'no'}"

    return tuple(said for said in on_all({name: name for name in CHECKED}, ask, at_once).values() if said)


def wait_until_steady(look_now: Callable[[], Steadiness], deadline: float) -> Steadiness:
    """The first look that finds no troubles, or the last before the deadline. Raises what that one could not do."""
    while True:
        late = time.monotonic() > deadline
        try:
            seen = look_now()
            if not seen.troubles or late:
                return seen
        except KbootstrapError:
            if late:
                raise
        time.sleep(LOOK_PAUSE)


def wait_until_calm(recording: Recording, seconds: float, deadline: float) -> list[str]:
    """Until no request has failed for so many seconds; what did fail when that does not come before the deadline."""
    since = time.monotonic()
    while True:
        time.sleep(max(0.0, min(since + seconds, deadline) - time.monotonic()))
        failed = failed_since(recording.samples().tracks, since)
        if not failed or time.monotonic() >= deadline:
            return failed
        since = time.monotonic()


def wait_until_quick(recording: Recording, seconds: float, deadline: float) -> None:
    """Until the answers of so many seconds came as quickly as budgets need it.

    Where they do not before the deadline, the drill goes on, and says so in the end.
    """
    while (now := time.monotonic()) < deadline:
        if slow(jitter(recording.samples().tracks, now - seconds, now)) is None:
            return
        time.sleep(CALM_PAUSE)
