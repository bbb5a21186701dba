"""Whether the applications of an inventory go together: names, ports, and who makes them reachable."""

from collections.abc import Iterator

from kbootstrap.model.applications import HTTP_PORT, HTTPS_PORT
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.document import Location
from kbootstrap.model.finding import Finding
from kbootstrap.model.inventory import Inventory
from kbootstrap.model.mistakes import did_you_mean

_APPLICATIONS, _CONTROLLERS = "applications", "ingress_controllers"


def edge(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """There are hosts that make them reachable."""
    if cluster.settings.applications and not cluster.load_balancers:
        hint = "two hosts with roles: [load-balancer], and cluster: {endpoint: {mode: external, vip: ADDRESS}}"
        yield Finding((_APPLICATIONS,), "no host has the role load-balancer, to make applications reachable", hint)


def server_names(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """A name leads to one application."""
    owners: dict[str, str] = {}
    for name, application in cluster.settings.applications.items():
        for index, server_name in enumerate(application.server_names):
            owner = owners.setdefault(server_name, name)
            where = (_APPLICATIONS, name, "server_names", index)
            if owner != name:
                yield Finding(where, f"{server_name} leads to {owner} already", "a name leads to one application")
            elif server_name in application.server_names[:index]:
                yield Finding(where, f"{server_name} is here for the second time", "leave one of them out")


def controllers(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Applications are behind ingress controllers that the inventory names."""
    known = cluster.settings.ingress_controllers
    for name, application in cluster.settings.applications.items():
        if application.ingress is not None and application.ingress not in known:
            better = did_you_mean(application.ingress, known)
            hint = f"did you mean {better!r}?" if better else f"{_CONTROLLERS}: {', '.join(known) or 'none'}"
            where = (_APPLICATIONS, name, "ingress")
            yield Finding(where, f"{application.ingress!r} is no ingress controller of this inventory", hint)


def node_ports(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Each NodePort is the cluster's to give, and somebody's alone."""
    written = cluster.settings.network.node_ports
    first, last = (int(part) for part in written.split("-"))
    owners: dict[int, str] = {}
    for where, owner, port in _node_ports(cluster):
        if not first <= port <= last:
            yield Finding(where, f"{port} lies outside network.node_ports {written}", "the range of the cluster")
        known = owners.setdefault(port, owner)
        if known != owner:
            hint = f"if both are behind one ingress controller, name that under {_CONTROLLERS}"
            yield Finding(where, f"{port} is the NodePort of {known} already", hint)


def _node_ports(cluster: Cluster) -> Iterator[tuple[Location, str, int]]:
    for name, controller in cluster.settings.ingress_controllers.items():
        yield (_CONTROLLERS, name, "node_port"), f"the ingress controller {name}", controller.node_port
    for name, application in cluster.settings.applications.items():
        if application.node_port is not None:
            yield (_APPLICATIONS, name, "node_port"), name, application.node_port


def ports(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """Each port of the load balancers is somebody's alone."""
    owners = {host.ssh.port: "sshd" for host in cluster.load_balancers}
    owners |= {HTTP_PORT: "http", HTTPS_PORT: "https", cluster.settings.endpoint.port: "the API"}
    for name, application in cluster.settings.applications.items():
        if application.port is None:
            continue
        owner = owners.setdefault(application.port, name)
        if owner != name:
            where = (_APPLICATIONS, name, "port")
            yield Finding(where, f"{application.port} is the port of {owner} already", "another port")


def api_port(_inventory: Inventory, cluster: Cluster) -> Iterator[Finding]:
    """The API is not where applications are."""
    settings = cluster.settings
    if settings.endpoint.port in (HTTP_PORT, HTTPS_PORT) and settings.applications:
        where = ("cluster", "endpoint", "port")
        yield Finding(where, f"{settings.endpoint.port} is the applications' port", "such as 6443")
