"""Inventories to start from: the shapes a cluster can have, each as a commented file."""

from collections.abc import Sequence
from dataclasses import dataclass

from kbootstrap.model.versions import API_VERSION

EXAMPLE_VERSION = "1.36.4"
"""The Kubernetes version of the examples in the repository."""

_SUBNET = "198.18.0"
_EXAMPLE_VIP = f"{_SUBNET}.100"
_EXAMPLE_BALANCER = f"{_SUBNET}.200"
_ENDPOINTS = {
    "vip": """\
  endpoint:
    vip: {vip}        # a free address in the hosts' subnet, held by keepalived on a control-plane host
""",
    "external": """\
  endpoint:
    address: {load_balancer}    # a load balancer in front of port 6443 of all control-plane hosts
""",
    "tier": """\
  endpoint:
    mode: external
    vip: {vip}        # a free address in the subnet of the load-balancer hosts, one of which holds it
""",
    "local": """\
  # endpoint: {{vip: 198.18.0.100}}   # none: every host reaches the API through a proxy of its own
""",
}
_APPLICATIONS = """\

# What clients outside reach at the load balancers (docs/load-balancers.md), for example:
# applications:
#   shop: {server_names: [shop.example.com], certificate: shop.crt, key: shop.key, node_port: 30080}
"""
_FIRST = {"cp": 11, "w": 21, "etcd": 81, "lb": 91}
"""Where in the example's subnet the hosts of each kind begin."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The shape of a cluster: how many hosts of each kind, and how clients reach its API."""

    about: str
    survives: str
    control_planes: int
    workers: int = 0
    etcd: int = 0
    load_balancers: int = 0
    endpoint: str = "vip"
    shared: bool = False
    """Whether the control-plane hosts run applications too."""


TOPOLOGIES = {
    "single": Topology(
        "One machine that is everything: to try things out.", "no loss", 1, endpoint="local", shared=True
    ),
    "ha": Topology(
        "Three machines that are control plane, etcd and workers at once, behind a virtual IP.",
        "the loss of any one host",
        3,
        shared=True,
    ),
    "ha-workers": Topology(
        "Three control-plane hosts with etcd on each, behind a virtual IP, and two workers.",
        "the loss of any one host",
        3,
        workers=2,
    ),
    "local": Topology(
        "Three control-plane hosts and two workers; a proxy on every host instead of a virtual IP.",
        "the loss of any one host; clients outside need an address of their own that they can rely on",
        3,
        workers=2,
        endpoint="local",
    ),
    "load-balancer": Topology(
        "Three control-plane hosts and two workers behind a load balancer that exists already.",
        "the loss of any one host, as long as the load balancer is there",
        3,
        workers=2,
        endpoint="external",
    ),
    "load-balancers": Topology(
        "Two hosts that hold a virtual IP in front of three control-plane hosts and two workers.",
        "the loss of any one host",
        3,
        workers=2,
        load_balancers=2,
        endpoint="external",
    ),
    "external-etcd": Topology(
        "etcd on three hosts of its own, two control-plane hosts behind a virtual IP, two workers.",
        "the loss of one etcd host and of one control-plane host",
        2,
        workers=2,
        etcd=3,
    ),
    "five-etcd": Topology(
        "Five control-plane hosts with etcd on each, behind a virtual IP, and two workers.",
        "the loss of any two hosts",
        5,
        workers=2,
    ),
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is known already when an inventory is begun; the rest is filled with examples.

    Addresses replace the topology's own hosts of that kind, so their number may differ.
    """

    name: str = "demo"
    kubernetes: str = EXAMPLE_VERSION
    vip: str = _EXAMPLE_VIP
    load_balancer: str = _EXAMPLE_BALANCER
    user: str = "root"
    identity_file: str | None = None
    control_planes: Sequence[str] = ()
    workers: Sequence[str] = ()
    etcd: Sequence[str] = ()
    load_balancers: Sequence[str] = ()


def inventory_text(topology: Topology, wishes: Wishes) -> str:
    """The inventory to start from, with comments. Whether the wishes make a valid one is for `load` to say."""
    identity = wishes.identity_file
    endpoint = _ENDPOINTS["tier" if topology.load_balancers else topology.endpoint]
    return f"""\
# {topology.about}
# It survives {topology.survives}.
# Check it with: kbootstrap validate -i FILE. Everything that can be said here: docs/inventory.md

apiVersion: {API_VERSION}

cluster:
  name: {wishes.name}
  kubernetes: {wishes.kubernetes}
{endpoint.format(vip=wishes.vip, load_balancer=wishes.load_balancer)}
# How to log in. A group or a host can say otherwise.
ssh:
  user: {wishes.user}{" " * (24 - len(wishes.user))}# another user than root needs sudo
{"  " if identity else "  # "}identity_file: {identity or "~/.ssh/id_ed25519"}
  # port: 22
  # jump: [admin@bastion.example.com]
  # sudo: password            # nopasswd if nothing is said; the password comes from
  # sudo_password: prompt     # a question, {{env: NAME}} or {{file: PATH}}
  # host_keys: accept-new     # strict if nothing is said

hosts:
{_hosts(topology, wishes)}
# groups:
#   gpu: {{hosts: [w1], labels: {{example.com/gpu: "true"}}, taints: ["example.com/gpu=true:NoSchedule"]}}

# What differs from the defaults, section by section, for example:
# network: {{pods: 10.244.0.0/16, services: 10.96.0.0/16}}
# containerd: {{registries: {{docker.io: {{mirrors: ["https://mirror.example.com"]}}}}}}
{_APPLICATIONS if topology.load_balancers else ""}"""


def _hosts(topology: Topology, wishes: Wishes) -> str:
    control_plane = "control-plane, worker" if topology.shared else "control-plane"
    kinds = (
        ("cp", control_plane, topology.control_planes, wishes.control_planes),
        ("w", "worker", topology.workers, wishes.workers),
        ("etcd", "etcd", topology.etcd, wishes.etcd),
        ("lb", "load-balancer", topology.load_balancers, wishes.load_balancers),
    )
    return "".join(
        f"  {prefix}{number}: {{address: {address}, roles: [{roles}]}}\n"
        for prefix, roles, count, addresses in kinds
        for number, address in enumerate(addresses or _examples(prefix, count), 1)
    )


def _examples(prefix: str, count: int) -> list[str]:
    return [f"{_SUBNET}.{_FIRST[prefix] + number}" for number in range(count)]
