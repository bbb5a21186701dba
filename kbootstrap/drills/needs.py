"""What drills need of a cluster, as its inventory tells. Pure: each says why not, or None."""

from kbootstrap.model.cluster import Cluster


def several_control_planes(cluster: Cluster) -> str | None:
    """Somebody has to take over."""
    return None if len(cluster.control_planes) > 1 else "there is one control-plane host, and nobody to take over"


def quorum_to_spare(cluster: Cluster) -> str | None:
    """A member can be lost."""
    if len(cluster.etcd_members) >= 3:
        return None
    return f"{len(cluster.etcd_members)} etcd members have none to spare"


def vip(cluster: Cluster) -> str | None:
    """A virtual IP that the control-plane hosts hold."""
    if cluster.settings.endpoint.mode != "vip":
        return "the endpoint is no virtual IP of the control-plane hosts"
    return several_control_planes(cluster)


def power(cluster: Cluster) -> str | None:
    """A way to cut hosts' power."""
    if cluster.settings.power.known:
        return None
    return "the inventory does not say how hosts lose their power (power: {turn_off: …, turn_on: …}, or sysrq: true)"


def several_workers(cluster: Cluster) -> str | None:
    """Pods can go elsewhere."""
    workers = sum(host.is_worker for host in cluster.hosts)
    return None if workers > 1 else "pods of the only worker have nowhere to go"
