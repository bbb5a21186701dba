"""The components by the names that playbooks use."""

from collections.abc import Mapping
from types import MappingProxyType

from kbootstrap.components.addons import coredns, rbac
from kbootstrap.components.admin import admin
from kbootstrap.components.authorities import authorities
from kbootstrap.components.backup import backup
from kbootstrap.components.binaries import control_plane_binaries, node_binaries
from kbootstrap.components.containerd import containerd
from kbootstrap.components.cordons import cordons
from kbootstrap.components.edge import edge
from kbootstrap.components.etcd import etcd
from kbootstrap.components.flannel import flannel
from kbootstrap.components.host import host
from kbootstrap.components.images import images
from kbootstrap.components.keepalived import keepalived
from kbootstrap.components.kube_apiserver import kube_apiserver
from kbootstrap.components.kube_controller_manager import kube_controller_manager
from kbootstrap.components.kube_proxy import kube_proxy
from kbootstrap.components.kube_scheduler import kube_scheduler
from kbootstrap.components.kubelet import kubelet
from kbootstrap.components.lvs import lvs, retired_address, retired_ways
from kbootstrap.components.nginx import nginx
from kbootstrap.components.node_labels import node_labels
from kbootstrap.components.packages import packages
from kbootstrap.components.reboot import reboot
from kbootstrap.components.site import Component
from kbootstrap.components.snapshot import snapshot

COMPONENTS: Mapping[str, Component] = MappingProxyType(
    {
        "host": host,
        "authorities": authorities,
        "packages": packages,
        "etcd": etcd,
        "snapshot": snapshot,
        "backup": backup,
        "control-plane-binaries": control_plane_binaries,
        "admin": admin,
        "kube-apiserver": kube_apiserver,
        "kube-controller-manager": kube_controller_manager,
        "kube-scheduler": kube_scheduler,
        "edge": edge,
        "nginx": nginx,
        "keepalived": keepalived,
        "lvs": lvs,
        "retired-address": retired_address,
        "retired-ways": retired_ways,
        "node-binaries": node_binaries,
        "containerd": containerd,
        "images": images,
        "kubelet": kubelet,
        "kube-proxy": kube_proxy,
        "flannel": flannel,
        "rbac": rbac,
        "node-labels": node_labels,
        "cordons": cordons,
        "reboot": reboot,
        "coredns": coredns,
    }
)
