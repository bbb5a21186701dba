"""What lives on a host already: processes on the ports that are needed, other installations, firewalls."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kbootstrap.components import edge, etcd, nginx
from kbootstrap.components.packages import has_edge, has_proxy
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.guard import Guard
from kbootstrap.facts.ports import PODS, Listener, Listeners
from kbootstrap.facts.services import RunningServices
from kbootstrap.model.applications import HTTP_PORT, HTTPS_PORT
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.workflows.fitness.finding import Finding
from kbootstrap.workflows.footprint import ALL_UNITS, units

OTHER_DISTRIBUTIONS = (
    "k3s.service",
    "k3s-agent.service",
    "rke2-server.service",
    "rke2-agent.service",
    "k0scontroller.service",
    "k0sworker.service",
    "snap.microk8s.daemon-kubelite.service",
)
NGINX = "nginx.service"
KEEPALIVED = "keepalived.service"
DOCKER = "docker.service"
FIREWALLD = "firewalld.service"
TIME_SERVICES = (
    "systemd-timesyncd.service",
    "chrony.service",
    "chronyd.service",
    "ntp.service",
    "ntpsec.service",
    "ntpd.service",
    "openntpd.service",
)

RUNNING = RunningServices((*ALL_UNITS, *OTHER_DISTRIBUTIONS, NGINX, KEEPALIVED, DOCKER, FIREWALLD, *TIME_SERVICES))
STATIC_PODS = Guard("ls /etc/kubernetes/manifests/*.yaml")
UFW_ENABLED = Guard("grep -q '^ENABLED=yes' /etc/ufw/ufw.conf")
VISITED = Guard("[ -d /var/lib/kbootstrap/stamps ]")
"""kbootstrap has been here: what the distribution's packages started since is not the user's."""
IN_CONTAINER = Guard("[ -e /run/systemd/container ]")
"""A container has no clock of its own to set."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a host needs, and for what."""

    number: int
    purpose: str
    protocol: str = "tcp"


def ports(cluster: Cluster, host: Host) -> list[Port]:
    """The ports that a host must have free (Kubernetes documentation, "Ports and Protocols")."""
    settings = cluster.settings
    found = []
    if host.is_etcd:
        found += [
            Port(etcd.CLIENT_PORT, "etcd's clients"),
            Port(etcd.PEER_PORT, "etcd's peers"),
            Port(etcd.METRICS_PORT, "etcd's metrics"),
        ]
    if host.is_control_plane:
        found += [
            Port(settings.endpoint.port, "the API"),
            Port(10257, "kube-controller-manager"),
            Port(10259, "kube-scheduler"),
        ]
    elif has_proxy(cluster, host):
        found += [Port(settings.endpoint.port, "the proxy to the API")]
    if has_proxy(cluster, host):
        found += [Port(nginx.ALIVE_PORT, "the proxy's health")]
        found += [Port(nginx.BALANCED_PORT, "the load balancers' connections")] if cluster.lvs is not None else []
    if has_edge(cluster, host):
        found += [
            Port(HTTP_PORT, "applications"),
            Port(HTTPS_PORT, "applications"),
            Port(edge.ALIVE_PORT, "the applications' proxy's health"),
            *(Port(one.port, f"the application {name}") for name, one in settings.applications.items() if one.port),
        ]
    if host.is_node:
        found += [Port(10250, "kubelet"), Port(10248, "kubelet's health"), Port(10256, "kube-proxy's health")]
    if host.is_node and settings.network.cni == "flannel" and settings.flannel.backend == "vxlan":
        found += [Port(settings.flannel.port, "flannel's VXLAN", "udp")]
    return found


def resident_facts(cluster: Cluster, host: Host) -> Sequence[Fact[Any]]:
    """What `residents` needs."""
    return [Listeners(), RUNNING, STATIC_PODS, UFW_ENABLED, VISITED, IN_CONTAINER]


def residents(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    """What is in the way, and what is missing beside it."""
    yield from _taken_ports(cluster, host, facts[Listeners()])
    yield from _other_installations(cluster, host, facts)
    yield from _firewalls(host, facts)
    yield from _time_service(host, facts)


def _taken_ports(cluster: Cluster, host: Host, listeners: tuple[Listener, ...]) -> Iterator[Finding]:
    for port in ports(cluster, host):
        holders = {
            (listener.process, listener.pid, listener.unit)
            for listener in listeners
            if (listener.protocol, listener.port) == (port.protocol, port.number) and not _ours(listener)
        }
        for process, pid, unit in sorted(holders):
            holder = f"{process or 'an unseen process'} (pid {pid}{f', {unit}' if unit else ''})"
            is_service = unit.endswith(".service") and not unit.startswith("ssh")  # somebody's session is no service
            stop = f"systemctl disable --now {unit}" if is_service else f"stop it (kill {pid})"
            yield Finding(
                host.name,
                "services",
                f"{port.protocol} port {port.number}, needed for {port.purpose}, is taken by {holder}",
                f"on the host: {stop}, or let it use another port",
            )


def _ours(listener: Listener) -> bool:
    """Also the kernel's own of UDP: flannel's VXLAN has no process, and nothing says who made it."""
    kernel = listener.pid == 0 and listener.protocol == "udp"
    return kernel or listener.unit in ALL_UNITS or listener.unit == PODS


def _other_installations(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    running = facts[RUNNING]
    foreign = {service.unit for service in running if not service.ours}
    if facts[STATIC_PODS]:
        yield Finding(
            host.name,
            "services",
            "has static pods in /etc/kubernetes/manifests: another Kubernetes, such as kubeadm's, is installed",
            "on the host: kubeadm reset, or use another host",
        )
    in_the_way = {*units(cluster, host), *OTHER_DISTRIBUTIONS}
    if not facts[VISITED]:
        in_the_way |= {NGINX} if has_proxy(cluster, host) or has_edge(cluster, host) else set()
        in_the_way |= {KEEPALIVED} if host in cluster.vip_hosts else set()
    for unit in sorted(foreign & in_the_way):
        yield Finding(
            host.name,
            "services",
            f"runs {unit} already, and it is not kbootstrap's",
            f"on the host: uninstall it (at least systemctl disable --now {unit}), or use another host",
        )
    if host.is_node and DOCKER in foreign:
        yield Finding(
            host.name,
            "services",
            "runs Docker, whose firewall rules drop forwarded packets, also the pods'",
            "on the host: apt-get purge docker-ce docker.io, or use another host",
            stops=False,
        )


def _firewalls(host: Host, facts: Facts) -> Iterator[Finding]:
    active = [service.unit for service in facts[RUNNING] if service.unit == FIREWALLD]
    for firewall in active + (["ufw"] if facts[UFW_ENABLED] else []):
        yield Finding(
            host.name,
            "services",
            f"filters packets with {firewall}",
            "let the hosts reach each other on all ports, and the pods' and services' ranges through",
            stops=False,
        )


def _time_service(host: Host, facts: Facts) -> Iterator[Finding]:
    if facts[IN_CONTAINER] or any(service.unit in TIME_SERVICES for service in facts[RUNNING]):
        return
    yield Finding(
        host.name,
        "clock",
        "runs no time service",
        "on the host: apt-get install chrony (or systemd-timesyncd)",
        stops=False,
    )
