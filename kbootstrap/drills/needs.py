"""What drills need of a cluster, as its inventory tells. Pure: each says why not, or None."""

from kbootstrap.model.cluster import Cluster


def several_control_planes(cluster: Cluster) -> str | None:
    """Somebody has to take over."""
    return None if len(cluster.control_planes) > 1 else _alone("control-plane host")


def quorum_to_spare(cluster: Cluster) -> str | None:
    """A member can be lost."""
    if len(cluster.etcd_members) >= 3:
        return None
    return f"{len(cluster.etcd_members)} etcd members have none to spare"


def vip(cluster: Cluster) -> str | None:
    """A virtual IP of control-plane hosts or load balancers, and another one of them that may have it."""
    if not cluster.vip_hosts:
        return "the endpoint is no virtual IP of the inventory's hosts"
    if not cluster.load_balancers:
        return several_control_planes(cluster)
    return None if len(cluster.load_balancers) > 1 else _alone("load balancer")


def holder_to_spare(cluster: Cluster) -> str | None:
    """The whole host that holds the virtual IP can be lost, and what else is on it."""
    return vip(cluster) or (None if cluster.load_balancers else quorum_to_spare(cluster))


def proxied_vip(cluster: Cluster) -> str | None:
    """An Nginx between the virtual IP and the apiservers, on the host that holds it."""
    if cluster.lvs is not None:
        return "LVS forwards to the API: no Nginx of the host that holds the VIP is on the way"
    return vip(cluster)


def real_servers(cluster: Cluster) -> str | None:
    """Load balancers that forward by LVS, to several control-plane hosts."""
    if cluster.lvs is None:
        return "no load balancer forwards to the API by LVS"
    return several_control_planes(cluster)


def applications(cluster: Cluster) -> str | None:
    """Load balancers that serve applications by name, and another one that may have the virtual IP."""
    if not cluster.named_applications:
        return "no application of the inventory has a name at load balancers"
    return vip(cluster)


def power(cluster: Cluster) -> str | None:
    """A way to cut hosts' power."""
    if cluster.settings.power.known:
        return None
    return "the inventory does not say how hosts lose their power (power: {turn_off: …, turn_on: …}, or sysrq: true)"


def several_workers(cluster: Cluster) -> str | None:
    """Pods can go elsewhere."""
    workers = sum(host.is_worker for host in cluster.hosts)
    return None if workers > 1 else "pods of the only worker have nowhere to go"


def _alone(what: str) -> str:
    return f"there is one {what}, and nobody to take over"
