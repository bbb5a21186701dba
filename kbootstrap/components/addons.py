"""What every cluster has inside: rights for its parts, and DNS. Applied from the first control-plane host."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from kbootstrap.components.flannel import USER as FLANNEL_USER
from kbootstrap.components.kube_apiserver import KUBELET_CLIENT_USER
from kbootstrap.components.manifests import Manifests
from kbootstrap.components.site import Site
from kbootstrap.render.renderer import render
from kbootstrap.steps.step import Step

DNS_REPLICAS = 2


@dataclass(frozen=True, slots=True)
class Rbac:
    """Who gets rights."""

    flannel_user: str = FLANNEL_USER
    kubelet_client_user: str = KUBELET_CLIENT_USER


@dataclass(frozen=True, slots=True)
class CoreDns:
    """The cluster's DNS. It listens on a high port, so that it needs no capability at all."""

    image: str
    address: IPv4Address
    domain: str
    replicas: int
    port: int = 1053
    health_port: int = 8080
    ready_port: int = 8181


def is_first(site: Site) -> bool:
    """Whether objects of the cluster are applied from this host."""
    return site.host == site.cluster.control_planes[0]


def rbac(site: Site) -> list[Step]:
    """Rights of flannel, and of the apiservers towards kubelets.

    Healthy when `kubectl logs` works and flanneld's journal has no "forbidden".
    """
    if not is_first(site):
        return []
    return [Manifests.from_yaml("rbac", render("addons/rbac.yaml.j2", Rbac()))]


def coredns(site: Site) -> list[Step]:
    """CoreDNS, spread over hosts.

    Healthy when the Deployment kube-system/coredns has all its replicas.
    """
    if not is_first(site):
        return []
    context = CoreDns(
        image=site.release.image_reference("coredns"),
        address=site.cluster.dns_address,
        domain=site.cluster.settings.network.domain,
        replicas=min(DNS_REPLICAS, len(site.cluster.nodes)),
    )
    return [Manifests.from_yaml("coredns", render("addons/coredns.yaml.j2", context))]
