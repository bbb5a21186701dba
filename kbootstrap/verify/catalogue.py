"""Which suites are about which subject. The suites themselves lie in the folder `suites`."""

from collections.abc import Callable

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify.layout import is_director

_HOST_SUITES: dict[str, Callable[[Cluster, Host], bool]] = {
    "system": lambda _cluster, _host: True,
    "files": lambda _cluster, _host: True,
    "binaries": lambda _cluster, _host: True,
    "certificates": lambda _cluster, _host: True,
    "units": lambda _cluster, _host: True,
    "sockets": lambda _cluster, _host: True,
    "etcd": lambda _cluster, host: host.is_etcd,
    "control_plane": lambda _cluster, host: host.is_control_plane,
    "endpoint": lambda cluster, host: host.is_node or (host.is_load_balancer and not is_director(cluster, host)),
    "director": is_director,
    "node": lambda _cluster, host: host.is_node,
}

_CLUSTER_SUITES = ("api", "hosts", "endpoint", "etcd", "leaders", "nodes")
LIVE_SUITES = tuple(f"live/test_{name}.py" for name in ("pods", "network", "secrets"))


def host_suites(cluster: Cluster, host: Host) -> tuple[str, ...]:
    """The suites of a host's roles, the quick ones first."""
    return tuple(f"hosts/test_{name}.py" for name, concerns in _HOST_SUITES.items() if concerns(cluster, host))


def cluster_suites(cluster: Cluster) -> tuple[str, ...]:
    """The suites about all hosts together."""
    more = ("applications",) if cluster.settings.applications else ()
    return tuple(f"cluster/test_{name}.py" for name in (*_CLUSTER_SUITES, *more))
