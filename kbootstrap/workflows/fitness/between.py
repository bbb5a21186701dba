"""Between the hosts: whether they reach each other, with packets of full size. And how fast etcd's disks are.

These take seconds, so they are asked only by `preflight` itself.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from typing import Any

from kbootstrap.components import etcd
from kbootstrap.components.kubelet import PORT as KUBELET_PORT
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.guard import Guard
from kbootstrap.facts.latency import SyncLatency
from kbootstrap.facts.reach import FullPackets, PeerPort, PeerPorts
from kbootstrap.facts.vrrp import VrrpAdverts
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.workflows.fitness.finding import Finding

PINGED_PEERS = 3
"""The size of packets is tried towards this many hosts only: those that follow in the inventory."""

SLOWEST_SYNC = 0.010
"""Seconds. etcd's documentation (hardware, disks): 99 of 100 syncs of its log should be faster."""

SYNC_PERCENTILE = 0.96
"""Of the few samples, so that one hiccup of a shared disk is no finding."""

SHOWN = 5


def between_facts(cluster: Cluster, host: Host) -> Sequence[Fact[Any]]:
    """What `between` needs."""
    found: list[Fact[Any]] = [_ports(cluster, host), FullPackets(_pinged(cluster, host))]
    if host.is_etcd:
        found.append(SyncLatency(etcd.DATA))
    if host in cluster.vip_hosts:
        found.append(VrrpAdverts(host.address))
    return [*found, *_name_guards(cluster, host)]


def between(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    """Hosts that cannot be reached from this one, packets that get lost, names that lead nowhere, VRRP routers of
    somebody else's, slow disks."""
    yield from _blocked(cluster, host, facts)
    yield from _small_packets_only(cluster, host, facts)
    yield from _unresolved(cluster, host, facts)
    yield from _other_routers(cluster, host, facts)
    if host.is_etcd:
        yield from _slow_disk(host, facts[SyncLatency(etcd.DATA)])


def _ports(cluster: Cluster, host: Host) -> PeerPorts:
    peers = (peer for peer in cluster.hosts if peer != host)
    return PeerPorts(tuple(PeerPort(peer.address, port) for peer in peers for port in _needed(cluster, host, peer)))


def _needed(cluster: Cluster, host: Host, peer: Host) -> Iterator[int]:
    """The ports that `host` will connect to on `peer`; one is enough to know that packets get there."""
    if peer.is_control_plane:
        yield cluster.settings.endpoint.port
    elif peer.is_node:
        yield KUBELET_PORT
    if host.is_etcd and peer.is_etcd:
        yield etcd.PEER_PORT
    elif host.is_control_plane and peer.is_etcd:
        yield etcd.CLIENT_PORT


def _pinged(cluster: Cluster, host: Host) -> tuple[IPv4Address, ...]:
    start = cluster.hosts.index(host) + 1
    following = (*cluster.hosts[start:], *cluster.hosts[: start - 1])
    return tuple(peer.address for peer in following[:PINGED_PEERS])


def _blocked(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    names = {peer.address: peer.name for peer in cluster.hosts}
    reached = facts[_ports(cluster, host)]
    blocked = [f"{names[peer.address]}:{peer.port}" for peer, how in reached.items() if how == "blocked"]
    if blocked:
        more = f" and {len(blocked) - SHOWN} more" if len(blocked) > SHOWN else ""
        yield Finding(
            host.name,
            "network",
            f"gets no answer from {', '.join(blocked[:SHOWN])}{more}",
            "is that host up, and does no firewall or security group drop packets between the two?",
        )


def _small_packets_only(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    names = {peer.address: peer.name for peer in cluster.hosts}
    for address, packet in facts[FullPackets(_pinged(cluster, host))].items():
        if packet.small and not packet.large:
            yield Finding(
                host.name,
                "network",
                f"small packets reach {names[address]}, packets of the interface's full size (MTU) do not",
                "set the same MTU on all hosts' interfaces, not larger than the network between them takes",
            )


def _name_guards(cluster: Cluster, host: Host) -> list[Guard]:
    if cluster.settings.host.manage_hosts_file:
        return []
    return [_resolves(peer) for peer in cluster.hosts if peer.is_control_plane or peer == host]


def _resolves(peer: Host) -> Guard:
    return Guard(f"getent ahostsv4 {peer.name}")


def _unresolved(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    guards = _name_guards(cluster, host)
    unknown = [peer.name for peer in cluster.hosts if (guard := _resolves(peer)) in guards and not facts[guard]]
    if unknown:
        yield Finding(
            host.name,
            "network",
            f"cannot resolve {', '.join(unknown)}",
            "add the hosts to your DNS, or set host: {manage_hosts_file: true}",
            stops=False,
        )


def _other_routers(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    if host not in cluster.vip_hosts:
        return
    own = {member.address for member in cluster.hosts}
    foreign = [advert for advert in facts[VrrpAdverts(host.address)] if advert.source not in own]
    used = {advert.router_id for advert in foreign} | set(cluster.router_ids)
    free = next((number for number in range(1, 256) if number not in used), "NUMBER")
    for vip, number in zip(cluster.vips, cluster.router_ids, strict=True):
        for source in sorted({advert.source for advert in foreign if advert.router_id == number}):
            yield Finding(
                host.name,
                "network",
                f"another machine ({source}) uses the VRRP router id {number}, which would be that of the VIP {vip}",
                f"router_id: {free}, under keepalived or the VIP's entry in load_balancer.instances",
            )


def _slow_disk(host: Host, latencies: tuple[float, ...]) -> Iterator[Finding]:
    if not latencies:
        return
    slow = latencies[int(len(latencies) * SYNC_PERCENTILE)]
    if slow > SLOWEST_SYNC:
        yield Finding(
            host.name,
            "disk",
            f"a synced write where etcd's data will be takes up to {slow * 1000:.1f} ms;"
            f" etcd wants {SLOWEST_SYNC * 1000:.0f} ms",
            f"put {etcd.DATA} on a faster disk (SSD or NVMe, no network file system), or expect leader changes",
            stops=False,
        )
