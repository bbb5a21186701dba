"""Whether a well-formed inventory makes sense: every check there is, and which parts of the file each one needs."""

from collections.abc import Callable, Collection, Iterator

from kbootstrap.model import application_checks, host_checks, load_balancer_checks, network_checks, settings_checks
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.finding import Finding
from kbootstrap.model.inventory import Inventory

Check = Callable[[Inventory, Cluster], Iterator[Finding]]

CHECKS: tuple[tuple[Check, frozenset[str]], ...] = (
    (host_checks.roles, frozenset(("hosts", "groups"))),
    (host_checks.etcd_members, frozenset(("hosts", "groups"))),
    (host_checks.addresses, frozenset()),
    (host_checks.names, frozenset()),
    (host_checks.group_members, frozenset(("hosts",))),
    (host_checks.jump_hosts, frozenset(("ssh", "groups"))),
    (host_checks.nodes, frozenset(("groups",))),
    (network_checks.ranges, frozenset(("network",))),
    (network_checks.outside_addresses, frozenset(("network",))),
    (network_checks.subnets, frozenset(("network",))),
    (network_checks.vips, frozenset(("network", "cluster", "groups", "load_balancer"))),
    (network_checks.sizes, frozenset(("network",))),
    (network_checks.node_ports, frozenset(("network", "cluster", "ssh"))),
    (settings_checks.etcd, frozenset(("etcd",))),
    (settings_checks.certificates, frozenset(("certificates",))),
    (settings_checks.registries, frozenset(("containerd",))),
    (settings_checks.backups, frozenset(("backup", "groups"))),
    (settings_checks.unused, frozenset(("cluster", "network"))),
    (load_balancer_checks.role, frozenset(("cluster", "hosts", "groups"))),
    (load_balancer_checks.preferences, frozenset(("load_balancer", "hosts", "groups"))),
    (load_balancer_checks.router_ids, frozenset(("cluster", "keepalived", "load_balancer"))),
    (load_balancer_checks.unused, frozenset(("load_balancer", "hosts", "groups"))),
    (application_checks.edge, frozenset(("hosts", "groups"))),
    (application_checks.server_names, frozenset()),
    (application_checks.controllers, frozenset(("ingress_controllers",))),
    (application_checks.node_ports, frozenset(("network",))),
    (application_checks.ports, frozenset(("cluster", "ssh", "groups"))),
    (application_checks.api_port, frozenset(("cluster",))),
)
"""Each check with the parts of the file it relies on: with one of these malformed, it would say what is not so."""


def findings(
    inventory: Inventory, cluster: Cluster, *, known: Collection[str] | None, malformed: Collection[str] = ()
) -> Iterator[Finding]:
    """What is wrong or unwise, as far as can be told when some parts of the file are malformed."""
    checks = CHECKS
    if known is not None:
        checks = (*checks, (settings_checks.version(known), frozenset(("cluster",))))
    for check, needs in checks:
        if needs.isdisjoint(malformed):
            yield from check(inventory, cluster)
