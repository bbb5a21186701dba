"""What stands in the way of hurting a cluster."""

import os
from collections.abc import Sequence

from kbootstrap.drills.drill import Drill, Fault
from kbootstrap.drills.power import Power
from kbootstrap.errors import PreflightFailed, Problem
from kbootstrap.model.cluster import Cluster

IN_POD = "KUBERNETES_SERVICE_HOST"
"""Kubernetes sets it in every container."""


class Refused(PreflightFailed):
    """A guard stands in the way of a drill: nothing was done to the cluster."""

    def __init__(self, message: str, reasons: Sequence[str] = (), *, hint: str | None = None) -> None:
        super().__init__(message, [Problem(reason) for reason in reasons], hint=hint)

    @property
    def reasons(self) -> tuple[str, ...]:
        """In words."""
        return (self.message, *(problem.message for problem in self.problems))


class NotPossible(Refused):
    """These hosts, or this inventory, have not what the drill needs."""


def require_permission(cluster: Cluster, allowed: str | None) -> None:
    """A cluster on which users depend is hurt only by who names it. Raises Refused."""
    if not cluster.settings.drills.production or allowed == cluster.name:
        return
    if allowed is not None:
        raise Refused(f"--yes-break-production names {allowed!r}, and this cluster is called {cluster.name!r}")
    raise Refused(
        f"users depend on {cluster.name} (the inventory does not say otherwise)",
        hint=f"--yes-break-production {cluster.name}; or in a test cluster's inventory: drills: {{production: false}}",
    )


def require_watchdog(fault: Fault, power: Power | None) -> None:
    """Raises NotPossible where nothing would outlive this process to give the power back. Hosts that crash themselves
    (sysrq) need nobody.
    """
    if fault.cuts_power and power is not None and IN_POD in os.environ:
        raise NotPossible("in a pod nothing is left to give hosts their power back when the pod ends")


def require_steady(troubles: Sequence[str]) -> None:
    """Raises Refused for a cluster that is degraded."""
    if troubles:
        raise Refused(
            "the cluster is degraded", troubles, hint="`kbootstrap status` says what to do; then run the drill again"
        )


def require_quorum(cluster: Cluster, drill: Drill, fault: Fault) -> None:
    """Raises Refused when the hosts that are left could not go on."""
    if drill.breaks_quorum:
        return
    hurt = frozenset(fault.hosts)
    members = cluster.etcd_members
    for what, hosts, needed in (
        ("etcd members", members, len(members) // 2 + 1),
        ("control-plane hosts", cluster.control_planes, 1),
        ("load balancers", cluster.load_balancers, 1),
    ):
        left = sum(host.name not in hurt for host in hosts)
        if left < len(hosts) and left < needed:
            raise Refused(f"{left} of {len(hosts)} {what} would be left, and {needed} are needed")
