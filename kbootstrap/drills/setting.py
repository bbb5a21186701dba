"""What a drill was run with: versions, and the configuration that decides how long outages last. Pure."""

from kbootstrap.model.cluster import Cluster
from kbootstrap.workflows.status import Status


def setting(cluster: Cluster, status: Status) -> dict[str, str]:
    """In words, by what it is."""
    settings = cluster.settings
    etcd = next((member.version for member in status.members.values() if member is not None), "unknown")
    found = {
        "Kubernetes": str(cluster.kubernetes),
        "etcd": etcd,
        "hosts": f"{len(cluster.control_planes)} control planes, {len(cluster.nodes)} nodes, "
        f"{len(cluster.etcd_members)} etcd members"
        + (f", {len(cluster.load_balancers)} load balancers" if cluster.load_balancers else ""),
        "endpoint": f"{settings.endpoint.mode}, {cluster.endpoint_host}:{settings.endpoint.port}",
        "etcd heartbeat, election": f"{settings.etcd.heartbeat_ms} ms, {settings.etcd.election_ms} ms",
        "apiserver shutdown delay": f"{settings.kube_apiserver.shutdown_delay_seconds} s",
        "kube-proxy": settings.kube_proxy.mode,
        "pod network": settings.network.cni,
    }
    if cluster.vip_hosts:
        found["VRRP interval"] = f"{settings.keepalived.advert_interval:g} s"
    if cluster.lvs is not None:
        found["LVS"] = f"{cluster.lvs.method}, {cluster.lvs.scheduler}"
    return found
