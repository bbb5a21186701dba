"""Whether the settings of an inventory go together, and with each other."""

from collections.abc import Callable, Collection, Iterator

from kbootstrap.model.cluster import Cluster
from kbootstrap.model.finding import Finding
from kbootstrap.model.inventory import Inventory

BEATS_PER_ELECTION = 5
"""etcd refuses to start with less."""
LARGEST_QUOTA = 8 * 2**30
"""etcd warns above: snapshots and restarts become slow."""


def etcd(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """etcd starts with them."""
    etcd = cluster.settings.etcd
    least = BEATS_PER_ELECTION * etcd.heartbeat_ms
    if etcd.election_ms < least:
        message = f"the election timeout {etcd.election_ms} ms must be {BEATS_PER_ELECTION} heartbeats or more"
        yield Finding(("etcd", "election_ms"), message, f"at least {least}, or a shorter heartbeat_ms")
    if etcd.quota_bytes > LARGEST_QUOTA:
        message = f"a quota above {LARGEST_QUOTA // 2**30} GiB makes snapshots and restarts slow"
        yield Finding(("etcd", "quota_bytes"), message, warning=True)


def certificates(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Certificates live longer than their renewal, and no longer than their CA."""
    lifetimes = cluster.settings.certificates
    if lifetimes.renew_before_days >= lifetimes.days:
        message = f"certificates of {lifetimes.days} days would be renewed at once, always"
        yield Finding(("certificates", "renew_before_days"), message, f"less than {lifetimes.days}")
    if lifetimes.days > lifetimes.authority_days:
        message = f"certificates cannot outlive their CA ({lifetimes.authority_days} days)"
        yield Finding(("certificates", "days"), message, "make authority_days larger")


def registries(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """A user name comes with a password."""
    for name, registry in cluster.settings.containerd.registries.items():
        if (registry.username is None) != (registry.password_file is None):
            where = ("containerd", "registries", name)
            yield Finding(where, "a registry needs both username and password_file, or neither")


def backups(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Backups outlive the hosts, and have all that is needed."""
    backup = cluster.settings.backup
    if backup.on and not backup.targets:
        message = "without targets, backups are lost with the hosts that they are of"
        yield Finding(("backup",), message, "targets: {NAME: {type: …, path: …}}", warning=True)
    if backup.on and not any(host.is_control_plane for host in cluster.etcd_members):
        message = "etcd hosts that are no control planes do not have the cluster's authorities: back those up yourself"
        yield Finding(("backup",), message, "see docs/backups.md", warning=True)


def unused(inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Sections that say something about what is not installed."""
    if "keepalived" in inventory.model_fields_set and cluster.settings.endpoint.vip is None:
        message = f"there is no keepalived with the endpoint mode {cluster.settings.endpoint.mode} and no VIP"
        yield Finding(("keepalived",), message, "cluster: {endpoint: {vip: ADDRESS}}", warning=True)
    if "flannel" in inventory.model_fields_set and cluster.settings.network.cni != "flannel":
        yield Finding(("flannel",), f"network.cni is {cluster.settings.network.cni}", warning=True)


def version(known: Collection[str]) -> Callable[[Inventory, Cluster], Iterator[Finding]]:
    """The check that the Kubernetes version belongs to one of the known minor releases, such as `1.36`."""

    def check(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
        if cluster.kubernetes.series not in known:
            hint = f"known: any patch of {', '.join(known)}"
            yield Finding(("cluster", "kubernetes"), f"Kubernetes {cluster.kubernetes} is not known", hint)

    return check
