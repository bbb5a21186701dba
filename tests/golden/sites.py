"""Clusters of every topology, and their hosts as components see them. No I/O."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from types import MappingProxyType

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.components.catalogue import COMPONENTS
from kbootstrap.components.site import Site
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.identity import HostIdentity, Identity, Interface
from kbootstrap.model.cluster import Cluster, Host, Role, Taint
from kbootstrap.model.settings import Settings
from kbootstrap.model.versions import Version
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.create import create_pki
from kbootstrap.steps.step import Step

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KUBERNETES = Version(1, 36, 4)

_CONTROL_PLANE = frozenset({Role.CONTROL_PLANE, Role.ETCD})
_CONTROL_PLANE_ONLY = frozenset({Role.CONTROL_PLANE})
_WORKER = frozenset({Role.WORKER})
_ETCD = frozenset({Role.ETCD})
_LOAD_BALANCER = frozenset({Role.LOAD_BALANCER})


def host(name: str, last_octet: int, roles: frozenset[Role]) -> Host:
    """A host of the lab's range."""
    return Host(name, IPv4Address(f"198.18.0.{last_octet}"), roles)


def hosts(prefix: str, first: int, count: int, roles: frozenset[Role]) -> tuple[Host, ...]:
    """Hosts in a row."""
    return tuple(host(f"{prefix}{number}", first + number - 1, roles) for number in range(1, count + 1))


def cluster(members: tuple[Host, ...], settings: Mapping[str, object]) -> Cluster:
    """A cluster of these hosts."""
    return Cluster("demo", KUBERNETES, members, Settings.model_validate(settings))


def slowed(of: Cluster, scale: float) -> Cluster:
    """The same with another `timeouts.scale`."""
    timeouts = of.settings.timeouts.model_copy(update={"scale": scale})
    return replace(of, settings=of.settings.model_copy(update={"timeouts": timeouts}))


_TIER_HOSTS = (
    *hosts("cp", 11, 3, _CONTROL_PLANE),
    *hosts("w", 21, 2, _WORKER),
    *hosts("lb", 91, 2, _LOAD_BALANCER),
)
_VIP = {"mode": "vip", "vip": "198.18.0.100"}
_TAINTED = Host(
    "w1",
    IPv4Address("198.18.0.21"),
    _WORKER,
    labels=MappingProxyType({"disk": "fast"}),
    taints=(Taint("dedicated", "db", "NoSchedule"),),
)
_REGISTRIES = {
    "docker.io": {"mirrors": ["https://mirror.example"], "ca_file": "/ca.pem"},
    "registry.example:5000": {"username": "robot", "password_file": "/password"},
}
_TIER = {"mode": "external", "vip": "198.18.0.100"}
_APPLICATIONS = {
    "shop": {
        "server_names": ["shop.example.com", "www.shop.example.com"],
        "certificate": "/shop.crt",
        "key": "/shop.key",
        "node_port": 30080,
        "headers": {"X-Frame-Options": "DENY", "X-Content-Type-Options": "", "X-Note": 'says "hi"; still one header'},
        "body_size": "1g",
        "allowed_sources": ["198.18.0.0/16"],
        "acme_solver": "198.18.0.5:8080",
    },
    "billing-desk": {
        "server_names": ["*.billing.example.com"],
        "certificate": "/billing.crt",
        "key": "/billing.key",
        "ingress": "public",
        "redirect": False,
        "websockets": False,
    },
    "notes": {"protocol": "http", "server_names": ["notes.example.com"], "node_port": 30081, "timeout_seconds": 300},
    "queue": {"protocol": "tcp", "port": 5672, "node_port": 30672, "allowed_sources": ["198.18.1.0/24"]},
}
CERTIFICATES = {Path(f"/{name}.{suffix}"): b"-----BEGIN" for name in ("shop", "billing") for suffix in ("crt", "key")}
FILES = MappingProxyType({Path("/ca.pem"): b"CA\n", Path("/password"): b"s3cret\n", **CERTIFICATES})

TOPOLOGIES: Mapping[str, Cluster] = MappingProxyType(
    {
        "vip": cluster((*hosts("cp", 11, 3, _CONTROL_PLANE), _TAINTED), {"endpoint": _VIP}),
        "local": cluster(
            (*hosts("cp", 11, 3, _CONTROL_PLANE), *hosts("w", 21, 2, _WORKER)),
            {
                "kube_proxy": {"mode": "ipvs", "config": {"ipvs": {"scheduler": "rr"}}},
                "network": {"cni": "none", "domain": "k8s.example"},
                "host": {"swap": "disable"},
                "containerd": {"registries": _REGISTRIES},
            },
        ),
        "external-endpoint": cluster(
            (*hosts("cp", 11, 3, _CONTROL_PLANE), *hosts("w", 21, 1, _WORKER)),
            {"endpoint": {"mode": "external", "address": "api.example"}, "kube_proxy": {"mode": "iptables"}},
        ),
        "external-etcd": cluster(
            (
                *hosts("cp", 11, 2, _CONTROL_PLANE_ONLY),
                *hosts("w", 21, 1, _WORKER),
                *hosts("etcd", 81, 3, _ETCD),
            ),
            {"endpoint": _VIP, "flannel": {"backend": "host-gw"}},
        ),
        "five-etcd": cluster(
            (*hosts("cp", 11, 5, _CONTROL_PLANE), *hosts("w", 21, 1, _WORKER)),
            {
                "endpoint": _VIP,
                "keepalived": {"router_id": 7, "advert_interval": 0.1, "interface": "bond0"},
                "etcd": {"heartbeat_ms": 50, "election_ms": 250, "extra_args": {"log-level": "warn"}},
            },
        ),
        "load-balancers": cluster(
            _TIER_HOSTS,
            {"endpoint": _TIER},
        ),
        "lvs-dr": cluster(_TIER_HOSTS, {"endpoint": _TIER, "load_balancer": {"lvs": {}}}),
        "lvs-nat": cluster(
            _TIER_HOSTS,
            {
                "endpoint": _TIER,
                "load_balancer": {"lvs": {"method": "nat", "scheduler": "sh", "connection_sync": False}},
            },
        ),
        "lvs-tunnel": cluster(
            _TIER_HOSTS,
            {
                "endpoint": _TIER,
                "load_balancer": {
                    "lvs": {"method": "tunnel", "persistence_seconds": 300},
                    "instances": {"second": {"vip": "198.18.0.101"}},
                },
                "applications": {
                    "notes": {"protocol": "http", "server_names": ["notes.example.com"], "node_port": 30081}
                },
            },
        ),
        "applications": cluster(
            (
                *hosts("cp", 11, 1, _CONTROL_PLANE),
                *hosts("w", 21, 2, _WORKER),
                *hosts("lb", 91, 2, _LOAD_BALANCER),
            ),
            {
                "endpoint": _TIER,
                "load_balancer": {
                    "preferred": "lb1",
                    "instances": {"second-vip": {"vip": "198.18.0.101", "preferred": "lb2"}},
                },
                "ingress_controllers": {"public": {"node_port": 30443, "protocol": "https"}},
                "applications": _APPLICATIONS,
            },
        ),
        "single": cluster(
            (host("solo", 11, _CONTROL_PLANE | _WORKER),),
            {"kube_apiserver": {"audit_log_days": 0, "encryption": "none", "extra_sans": ["solo.example", "10.1.2.3"]}},
        ),
    }
)

SHOWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "vip": ("cp1", "cp2", "w1"),
        "local": ("cp1", "w1"),
        "external-endpoint": ("cp1", "w1"),
        "external-etcd": ("cp1", "w1", "etcd1"),
        "five-etcd": ("cp5",),
        "load-balancers": ("cp1", "w1", "lb1"),
        "lvs-dr": ("cp1", "lb2"),
        "lvs-nat": ("cp1", "lb1"),
        "lvs-tunnel": ("cp1", "lb1"),
        "applications": ("lb1", "lb2"),
        "single": ("solo",),
    }
)
"""The hosts whose files are compared: one for each way of being different."""


@cache
def pki() -> Pki:
    """Key material, new for every test run but for the key that a file shows."""
    return replace(create_pki("demo", NOW, 3650), encryption_key=base64.b64encode(bytes(32)).decode())


def site(of: Cluster, name: str) -> Site:
    """A host of a cluster, bare and healthy."""
    member = of.host(name)
    release = load_catalogue().release(of.kubernetes)
    artifacts = {
        ref.name: Artifact(
            ref,
            hashlib.sha256(str(ref).encode()).hexdigest(),
            1_000_000,
            Path("/cache") / ref.name,
            release.image_reference(ref.name) if ref.kind == "image" else None,
        )
        for ref in release.refs()
    }
    return Site(of, member, Facts({Identity(): identity(member)}), release, artifacts, pki(), NOW, files=FILES)


def identity(of: Host) -> HostIdentity:
    """What a healthy Debian says of itself."""
    return HostIdentity(
        os="debian",
        os_version="12",
        codename="bookworm",
        arch="x86_64",
        kernel="6.1.0",
        hostname=of.name,
        machine_id="0" * 32,
        cpus=2,
        memory_bytes=4 * 2**30,
        swap_bytes=0,
        clock=NOW.timestamp(),
        has_systemd=True,
        cgroup_version=2,
        ssh_client="198.18.0.1",
        ssh_port=22,
        has_package_sources=True,
        missing_tools=(),
        interfaces=(Interface("eth0", 1500, (IPv4Interface(f"{of.address}/24"),)),),
    )


def steps(of: Cluster, name: str) -> list[tuple[str, list[Step]]]:
    """All steps of a host by component, as the playbook `up` would choose them."""
    member = of.host(name)
    needed = {
        "etcd": member.is_etcd,
        "control-plane-binaries": member.is_control_plane,
        "admin": member.is_control_plane,
        "kube-apiserver": member.is_control_plane,
        "kube-controller-manager": member.is_control_plane,
        "kube-scheduler": member.is_control_plane,
        "node-binaries": member.is_node,
        "containerd": member.is_node,
        "images": member.is_node,
        "kubelet": member.is_node,
        "kube-proxy": member.is_node,
        "flannel": member.is_node,
        "rbac": member == of.control_planes[0],
        "coredns": member == of.control_planes[0],
        "node-labels": member == of.control_planes[0],
        "retired-address": member.is_control_plane and bool(of.load_balancers),
        "retired-ways": member.is_control_plane,
        "backup": False,  # compared in test_backup.py
        "reboot": False,  # leaves nothing on a host
    }
    place = site(of, name)
    return [(component, make(place)) for component, make in COMPONENTS.items() if needed.get(component, True)]
