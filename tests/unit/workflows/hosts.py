"""Hosts as preflight sees them: good ones, and what can be wrong with them."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from kbootstrap.facts.disks import DiskSpace, Space
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.guard import Guard
from kbootstrap.facts.identity import HostIdentity, Identity, Interface
from kbootstrap.facts.neighbours import Neighbour
from kbootstrap.facts.ports import Listeners
from kbootstrap.facts.services import RunningServices, Service
from kbootstrap.model.cluster import Cluster, Host, Role
from kbootstrap.model.settings import Endpoint, Settings
from kbootstrap.model.versions import Version
from kbootstrap.workflows.fitness.residents import IN_CONTAINER, STATIC_PODS, UFW_ENABLED, VISITED
from kbootstrap.workflows.preflight import preflight_facts
from kbootstrap.workflows.survey import FirstLook

VIP = IPv4Address("198.18.0.100")
GB = 10**9


def host(name: str, last: int, *roles: Role) -> Host:
    return Host(name, IPv4Address(f"198.18.0.{last}"), frozenset(roles))


def cluster(settings: Settings | None = None) -> Cluster:
    control_plane = (Role.CONTROL_PLANE, Role.ETCD)
    hosts = (
        host("cp1", 11, *control_plane),
        host("cp2", 12, *control_plane),
        host("cp3", 13, *control_plane),
        host("w1", 21, Role.WORKER),
    )
    return Cluster("demo", Version(1, 36, 4), hosts, settings or Settings(endpoint=Endpoint(vip=VIP)))


def identity(host: Host) -> HostIdentity:
    """What a good host says of itself."""
    return HostIdentity(
        os="debian",
        os_version="12",
        codename="bookworm",
        arch="x86_64",
        kernel="6.1.0-30-amd64",
        hostname=host.name,
        machine_id=f"{host.name:0<32}",
        cpus=4,
        memory_bytes=8 * 2**30,
        swap_bytes=0,
        clock=0.0,
        has_systemd=True,
        cgroup_version=2,
        ssh_client="198.18.0.1",
        ssh_port=22,
        has_package_sources=True,
        missing_tools=(),
        interfaces=(
            Interface("lo", 65536, (IPv4Interface("127.0.0.1/8"),)),
            Interface("eth0", 1500, (IPv4Interface(f"{host.address}/24"),)),
        ),
    )


ROOM = Space("/", 100 * GB, 50 * GB, 1_000_000, read_only=False, occupied=False)
GOOD_GUARDS = {STATIC_PODS: False, UFW_ENABLED: False, VISITED: False, IN_CONTAINER: False}


def facts(cluster: Cluster, host: Host, changed: Mapping[Fact[Any], object] | None = None, **said: Any) -> Facts:
    """A good host's facts, but for `changed` facts and for what `said` changes of its identity."""
    values: dict[Fact[Any], object] = {Identity(): replace(identity(host), **said)}
    for fact in preflight_facts(cluster, host):
        values[fact] = _good(fact)
    return Facts(values | dict(changed or {}))


def _good(fact: Fact[Any]) -> object:
    match fact:
        case Guard():
            return GOOD_GUARDS.get(fact, True)
        case DiskSpace():
            return ROOM
        case RunningServices():
            return (Service("chrony.service", ours=False),)
        case Listeners():
            return ()
        case Neighbour():
            return None
    raise AssertionError(f"{fact} is new: say what it is on a good host")


def looks(cluster: Cluster, **changed: FirstLook) -> dict[str, FirstLook]:
    """Good hosts, but for those given."""
    good = {host.name: FirstLook(facts(cluster, host), 0.0) for host in cluster.hosts}
    return good | changed


def look(
    cluster: Cluster, name: str, changed: Mapping[Fact[Any], object] | None = None, *, offset: float = 0.0, **said: Any
) -> FirstLook:
    """One host's look."""
    return FirstLook(facts(cluster, cluster.host(name), changed, **said), offset)
