"""The services that kbootstrap runs on a host."""

from kbootstrap.components import (
    backup,
    containerd,
    edge,
    endpoint,
    etcd,
    flannel,
    keepalived,
    kube_apiserver,
    kube_controller_manager,
    kube_proxy,
    kube_scheduler,
    kubelet,
    lvs,
    nginx,
)
from kbootstrap.components.packages import has_edge, has_proxy
from kbootstrap.model.cluster import Cluster, Host

CONTROL_PLANE_UNITS = (kube_apiserver.UNIT, kube_controller_manager.UNIT, kube_scheduler.UNIT)
NODE_UNITS = (containerd.UNIT, kubelet.UNIT, kube_proxy.UNIT)

ALL_UNITS = (
    backup.TIMER,
    backup.SERVICE,
    backup.FAILED,
    kubelet.UNIT,
    kube_proxy.UNIT,
    flannel.UNIT,
    keepalived.UNIT,
    lvs.ADDRESS_UNIT,
    edge.UNIT,
    endpoint.UNIT,
    nginx.UNIT,
    kube_scheduler.UNIT,
    kube_controller_manager.UNIT,
    kube_apiserver.UNIT,
    etcd.UNIT,
    containerd.UNIT,
)
"""In the order in which they are best stopped: what makes work for the others first."""


def units(cluster: Cluster, host: Host) -> tuple[str, ...]:
    """The services that should run on a host."""
    found: list[str] = []
    if host.is_etcd:
        found += [etcd.UNIT]
    if host.is_etcd and cluster.settings.backup.schedule is not None:
        found += [backup.TIMER]
    if host.is_control_plane:
        found += CONTROL_PLANE_UNITS
    if has_proxy(cluster, host):
        found += [nginx.UNIT, endpoint.UNIT]
    if has_edge(cluster, host):
        found += [edge.UNIT]
    if host in cluster.vip_hosts:
        found += [keepalived.UNIT]
    if host.is_control_plane and cluster.lvs is not None and cluster.lvs.method != "nat":
        found += [lvs.ADDRESS_UNIT]
    if host.is_node:
        found += NODE_UNITS
    if host.is_node and cluster.settings.network.cni == "flannel":
        found += [flannel.UNIT]
    return tuple(found)
