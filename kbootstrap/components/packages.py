"""Operating-system packages: what the distribution does better than a binary of ours."""

from kbootstrap.components.site import Site
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.steps.package import Packages
from kbootstrap.steps.step import Step

_NODE = ("conntrack", "ethtool", "iptables", "kmod", "mount", "nftables", "socat", "util-linux")
"""What kubelet, kube-proxy, flannel and port-forward call."""
_IPVS = ("ipset", "ipvsadm")
_PROXY = ("nginx", "libnginx-mod-stream", "curl", "procps")
_VIP = ("keepalived", "nftables")
_LVS = ("ipvsadm", "kmod")
_EDGE = ("nginx", "libnginx-mod-stream", "logrotate")
_BACKUP = ("age", "jq")
_SERVICES = {"nginx": "nginx.service", "keepalived": "keepalived.service"}
"""Units of these packages: ours have names and configurations of their own."""
NGINX_USER = "www-data"
"""Whom Debian's nginx has its workers run as: a connection of this user's is a proxy's."""


def packages(site: Site) -> list[Step]:
    """The packages of the host's roles."""
    return [Packages(wanted_packages(site.cluster, site.host), site.packages, _SERVICES)]


def wanted_packages(cluster: Cluster, host: Host) -> tuple[str, ...]:
    """The names of all packages that a host needs, sorted."""
    wanted: set[str] = set()
    if host.is_node:
        wanted.update(_NODE)
        if cluster.settings.kube_proxy.mode == "ipvs":
            wanted.update(_IPVS)
    if has_proxy(cluster, host):
        wanted.update(_PROXY)
    if host in cluster.vip_hosts:
        wanted.update(_VIP)
        if cluster.lvs is not None:
            wanted.update(_LVS)
    if has_edge(cluster, host):
        wanted.update(_EDGE)
    if host.is_etcd and cluster.settings.backup.on:
        wanted.update(_BACKUP)
        if cluster.settings.backup.targets:
            wanted.add("rclone")
    return tuple(sorted(wanted))


def has_proxy(cluster: Cluster, host: Host) -> bool:
    """Whether a proxy on the host spreads connections over the apiservers."""
    if cluster.settings.endpoint.mode == "local":
        return host.is_node
    return host in (cluster.control_planes if cluster.lvs is not None else cluster.vip_hosts)


def has_edge(cluster: Cluster, host: Host) -> bool:
    """Whether an nginx on the host makes applications reachable from outside."""
    return host.is_load_balancer and bool(cluster.settings.applications)
