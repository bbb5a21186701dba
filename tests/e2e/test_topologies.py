"""Every topology comes up from bare hosts, works, and then has nothing to do."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

import pytest

from kbootstrap.lab.spec import standard
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory
from tests.e2e.observe import vip_holders

SUBNET = IPv4Network("198.18.44.0/24")


@dataclass(frozen=True, slots=True)
class Topology:
    """How many hosts of each kind, how many members etcd has, and what the inventory says of it."""

    control_planes: int
    workers: int
    members: int
    etcd: int = 0
    settings: dict[str, Any] = field(default_factory=dict)


LOCAL = {"cluster": {"endpoint": {"mode": "local", "vip": None}}}
TOPOLOGIES = {
    "single": Topology(1, 0, members=1, settings={"kube_proxy": {"mode": "iptables"}, **LOCAL}),
    "local": Topology(1, 2, members=1, settings=LOCAL),
    "etcd on hosts of its own": Topology(1, 0, members=3, etcd=3),
    "five etcd": Topology(1, 0, members=5, etcd=5),
}


@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES.keys())
def test_topology(topology: Topology, beds: BedFactory) -> None:
    spec = standard(
        name=f"{PREFIX}top",
        subnet=SUBNET,
        control_planes=topology.control_planes,
        workers=topology.workers,
        etcd=topology.etcd,
    )
    bed = beds(spec, topology.settings)
    bed.run("up").expect(0, "is ready")
    bed.require_converged()
    assert len(healthy_members(bed)) == topology.members
    assert len(vip_holders(bed)) == (0 if "cluster" in topology.settings else 1)
    mode = topology.settings.get("kube_proxy", {}).get("mode", "nftables")
    assert proxy_mode(bed) == mode


def healthy_members(bed: Bed) -> list[str]:
    """etcd's members that answer, as one of them sees it."""
    host = next(name for name, host in bed.spec.hosts.items() if "etcd" in host.roles or "control-plane" in host.roles)
    host = "etcd1" if "etcd1" in bed.spec.hosts else host
    return bed.ssh(host, "etcdctl endpoint health --cluster").splitlines()


def proxy_mode(bed: Bed) -> str:
    """As kube-proxy itself says."""
    return bed.ssh("cp1", "curl --silent http://127.0.0.1:10249/proxyMode")
