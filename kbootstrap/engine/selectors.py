"""Which hosts a phase concerns, by role or name."""

from collections.abc import Callable, Mapping, Sequence

from kbootstrap.errors import InvalidInput
from kbootstrap.model.cluster import Cluster, Host, Role

SELECTORS: Mapping[str, Callable[[Cluster, Host], bool]] = {
    "all": lambda _cluster, _host: True,
    "control-plane": lambda _cluster, host: host.is_control_plane,
    "first-control-plane": lambda cluster, host: host == cluster.control_planes[0],
    "etcd": lambda _cluster, host: host.is_etcd,
    "plain-etcd": lambda _cluster, host: host.is_etcd and not host.is_node,
    "worker": lambda _cluster, host: Role.WORKER in host.roles,
    "plain-worker": lambda _cluster, host: host.is_worker and not host.is_control_plane,
    "load-balancer": lambda _cluster, host: host.is_load_balancer,
    "node": lambda _cluster, host: host.is_node,
}


def selected(wanted: tuple[str, ...] | str, cluster: Cluster, host: Host) -> bool:
    """Whether `host` is among the roles and names in `wanted`."""
    words = (wanted,) if isinstance(wanted, str) else wanted
    return any(SELECTORS[word](cluster, host) if word in SELECTORS else word == host.name for word in words)


def unknown(wanted: tuple[str, ...] | str, cluster: Cluster) -> list[str]:
    """The words that are neither a role nor a host of the cluster."""
    words = (wanted,) if isinstance(wanted, str) else wanted
    names = {host.name for host in cluster.hosts}
    return [word for word in words if word not in SELECTORS and word not in names]


def limited(cluster: Cluster, limit: Sequence[str]) -> tuple[Host, ...]:
    """The hosts that `--limit` (names and roles) selects, all when it is empty. Raises InvalidInput."""
    words = tuple(limit) or ("all",)
    missing = unknown(words, cluster)
    if missing:
        raise InvalidInput(
            f"--limit: no host and no role is called {', '.join(missing)}",
            hint=f"hosts: {', '.join(host.name for host in cluster.hosts)}; roles: {', '.join(SELECTORS)}",
        )
    return tuple(host for host in cluster.hosts if selected(words, cluster, host))
