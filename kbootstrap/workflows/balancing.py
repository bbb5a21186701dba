"""Who gets connections to the API, and who does not: by the proxies, and by the kernels of load balancers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kbootstrap.components import endpoint
from kbootstrap.components.packages import has_proxy
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.ipvs import VirtualServer, VirtualServers
from kbootstrap.facts.proxies import ProxiedServers
from kbootstrap.model.cluster import Cluster, Host

_IPVS = VirtualServers()
_PROXIED = ProxiedServers(endpoint.PROGRAM)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An apiserver that the proxies of `hosts` give no connections: `out` for planned work, or `unready`."""

    server: str
    state: str
    reason: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What the kernel of a load balancer forwards; `server` is None where that is nothing."""

    host: str
    address: str
    server: VirtualServer | None


def is_director(cluster: Cluster, host: Host) -> bool:
    """Whether the kernel of the host forwards connections for the virtual IP."""
    return host.is_load_balancer and cluster.lvs is not None


def balancing_facts(cluster: Cluster, host: Host) -> Iterator[Fact[Any]]:
    """What is read from a host."""
    if has_proxy(cluster, host):
        yield _PROXIED
    if is_director(cluster, host):
        yield _IPVS


def passed_over(cluster: Cluster, seen: Mapping[str, Facts]) -> list[PassedOver]:
    """The apiservers that proxies give no connections, with the same state together."""
    names = {str(host.address): host.name for host in cluster.control_planes}
    together: dict[tuple[str, str], dict[str, str]] = {}
    for name, facts in seen.items():
        for server in facts[_PROXIED] if has_proxy(cluster, cluster.host(name)) else ():
            if server.state != "in":
                found = together.setdefault((names.get(server.address, server.address), server.state), {})
                found[name] = server.reason
    return [
        PassedOver(server, state, next(iter(reasons.values())), tuple(reasons))
        for (server, state), reasons in together.items()
    ]


def forwarded(cluster: Cluster, seen: Mapping[str, Facts]) -> tuple[Forwarding, ...]:
    """What each director that was read forwards to the apiservers."""
    if cluster.lvs is None:
        return ()
    address = f"{cluster.settings.endpoint.vip}:{cluster.settings.endpoint.port}"
    tables = {host.name: seen[host.name][_IPVS] for host in cluster.load_balancers if host.name in seen}
    return tuple(
        Forwarding(name, address, next((server for server in table if server.address == address), None))
        for name, table in tables.items()
    )


def not_forwarded_to(cluster: Cluster, forwarding: Sequence[Forwarding]) -> list[PassedOver]:
    """The control-plane hosts to whose proxies directors give no connections."""
    found = []
    for host in cluster.control_planes:
        without = tuple(
            one.host
            for one in forwarding
            if one.server is not None
            and not any(s.weight for s in one.server.servers if s.address.startswith(f"{host.address}:"))
        )
        if without:
            found.append(PassedOver(host.name, "out", "LVS gives its proxy no connections", without))
    return found
