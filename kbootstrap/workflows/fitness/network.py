"""Addresses: the hosts' own, the virtual one, and what must be different from host to host."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from itertools import product
from typing import Any

from kbootstrap.components import keepalived
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.identity import HostIdentity, Identity
from kbootstrap.facts.neighbours import Neighbour
from kbootstrap.facts.units import STAMPS
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.workflows.fitness.finding import Finding

_KEEPALIVED_STAMP = STAMPS / keepalived.UNIT


def network_facts(cluster: Cluster, host: Host) -> Sequence[Fact[Any]]:
    """What `network` and `networks` need beside the host's identity."""
    return [_answer(vip) for vip in _vips_of(cluster, host)]


def _vips_of(cluster: Cluster, host: Host) -> tuple[IPv4Address, ...]:
    return cluster.vips if host in cluster.vip_hosts else ()


def _answer(vip: IPv4Address) -> Neighbour:
    return Neighbour(vip, unless=_KEEPALIVED_STAMP)


def network(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    """Whether the host has its address, and the VIP can live beside it."""
    identity = facts[Identity()]
    own = identity.interface_of(host.address)
    if own is None:
        yield Finding(
            host.name,
            "network",
            f"has no interface with its address {host.address}; it has {_addresses(identity)}",
            "write the address that the other hosts know it by as `address`, and where SSH finds it, if that is"
            " another, as `ssh: {address: …}`",
        )
        return
    subnets = ", ".join(str(address.network) for address in own.addresses)
    for vip in _vips_of(cluster, host):
        if not any(vip in address.network for address in own.addresses):
            yield Finding(
                host.name,
                "network",
                f"the VIP {vip} is outside the subnet of {own.name} ({subnets}), where it would have to live",
                "choose a free address of that subnet as the VIP",
            )


def _addresses(identity: HostIdentity) -> str:
    found = [
        f"{address.ip} ({interface.name})"
        for interface in identity.interfaces
        for address in interface.addresses
        if not address.ip.is_loopback
    ]
    return ", ".join(found) or "none"


def networks(cluster: Cluster, facts: Mapping[str, Facts]) -> Iterator[Finding]:
    """Whether every VIP is free or ours, and whether what must differ does."""
    identities = {name: seen[Identity()] for name, seen in facts.items()}
    yield from _foreign_vip(cluster, facts, identities)
    yield from _same(
        {name: identity.machine_id for name, identity in identities.items()},
        "machine-id",
        "on all but one of them: rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup; reboot",
        stops=True,
    )
    yield from _same(
        {name: identity.hostname for name, identity in identities.items()},
        "host name",
        "hostnamectl set-hostname, so that logs can be told apart",
        stops=False,
    )


def _foreign_vip(
    cluster: Cluster, facts: Mapping[str, Facts], identities: Mapping[str, HostIdentity]
) -> Iterator[Finding]:
    """Judged only when all hosts were read that may hold it: one that was not may be the one that does."""
    if any(host.name not in facts for host in cluster.vip_hosts):
        return
    free = [vip for vip in cluster.vips if not any(identity.interface_of(vip) for identity in identities.values())]
    # One of them may have taken it between its own answer and the others': a keepalived that has just started.
    ours = {interface.mac for identity in identities.values() for interface in identity.interfaces}
    for host, vip in product(cluster.vip_hosts, free):
        answer = facts[host.name][_answer(vip)]
        if answer is not None and answer not in ours:
            yield Finding(
                host.name,
                "network",
                f"another machine ({answer}) answers for the VIP {vip}",
                "choose a free address as the VIP, or take it off that machine",
            )


def _same(values: Mapping[str, str], what: str, remedy: str, *, stops: bool) -> Iterator[Finding]:
    holders: dict[str, list[str]] = defaultdict(list)
    for name, value in values.items():
        holders[value].append(name)
    for value, names in holders.items():
        for name in names if len(names) > 1 and value else ():
            others = ", ".join(other for other in names if other != name)
            yield Finding(name, "network", f"has the same {what} ({value}) as {others}", remedy, stops)
