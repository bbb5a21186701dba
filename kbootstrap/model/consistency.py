"""Whether a well-formed inventory makes sense: every check there is, and which parts of the file each one needs."""

from collections.abc import Callable, Collection, Iterator

from kbootstrap.model import host_checks, network_checks, settings_checks
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
    (network_checks.vip, frozenset(("network", "cluster", "groups"))),
    (network_checks.sizes, frozenset(("network",))),
    (network_checks.node_ports, frozenset(("network", "cluster", "ssh"))),
    (settings_checks.etcd, frozenset(("etcd",))),
    (settings_checks.certificates, frozenset(("certificates",))),
    (settings_checks.registries, frozenset(("containerd",))),
    (settings_checks.backups, frozenset(("backup", "groups"))),
    (settings_checks.unused, frozenset(("cluster", "network"))),
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
