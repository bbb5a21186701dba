"""Topologies beside the usual one, and what tells that a cluster has one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

from kbootstrap.lab.spec import LabSpec, standard
from tests.e2e.bed import Bed
from tests.e2e.observe import vip_holders


@dataclass(frozen=True, slots=True)
class Topology:
    """How many hosts of each kind, how many members etcd has, and what the inventory says of it."""

    control_planes: int
    workers: int
    members: int
    etcd: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def lab(self, name: str, subnet: IPv4Network) -> LabSpec:
        return standard(
            name=name, subnet=subnet, control_planes=self.control_planes, workers=self.workers, etcd=self.etcd
        )


_LOCAL = {"cluster": {"endpoint": {"mode": "local", "vip": None}}}

THREE = Topology(3, 1, members=3)
SINGLE = Topology(1, 0, members=1, settings={"kube_proxy": {"mode": "iptables"}, **_LOCAL})
LOCAL = Topology(1, 1, members=1, settings=_LOCAL)
FIVE_ETCD = Topology(1, 0, members=5, etcd=5)


def require(bed: Bed, topology: Topology) -> None:
    """The cluster has converged to the topology."""
    bed.require_converged()
    assert len(_healthy_members(bed)) == topology.members
    assert len(vip_holders(bed)) == (0 if "cluster" in topology.settings else 1)
    assert _proxy_mode(bed) == topology.settings.get("kube_proxy", {}).get("mode", "nftables")


def _healthy_members(bed: Bed) -> list[str]:
    """etcd's members that answer, as one of them sees it."""
    host = next((name for name, host in bed.spec.hosts.items() if "etcd" in host.roles), bed.control_planes[0])
    return bed.ssh(host, "etcdctl endpoint health --cluster").splitlines()


def _proxy_mode(bed: Bed) -> str:
    """As kube-proxy itself says."""
    return bed.ssh(bed.control_planes[0], "curl --silent http://127.0.0.1:10249/proxyMode")
