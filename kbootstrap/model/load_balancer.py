"""The section of an inventory about the hosts that only balance: which virtual addresses they hold."""

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field

from kbootstrap.model.fields import Address, DnsLabel
from kbootstrap.model.section import Section

RouterId = Annotated[int, Field(ge=1, le=255)]
"""Of VRRP: one octet, and 0 is nobody's (RFC 5798)."""


def router_id(vip: IPv4Address) -> int:
    """A VRRP router id from a virtual IP: its last octet, which is different for every one of a subnet up to /24."""
    return int(vip) % 256 or 255


class VirtualAddress(Section):
    """One more virtual IP of the load balancers, so that more than one of them works."""

    vip: Address = Field(description="a free address in their subnet")
    preferred: DnsLabel | None = Field(
        None, description="the load balancer that holds it whenever it can; default: in turn, and it stays where it is"
    )
    router_id: RouterId | None = Field(None, description="default: from the VIP")


class Lvs(Section):
    """Connections to the API are forwarded in the kernel (IPVS), to an Nginx on every control-plane host."""

    method: Literal["dr", "nat", "tunnel"] = Field(
        "dr", description="dr: answers go straight to the client, all hosts in one subnet; nat, tunnel: any network"
    )
    scheduler: Literal["rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "mh"] = Field(
        "wlc", description="who gets the next connection, as ipvsadm(8) names it"
    )
    persistence_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        0, description="how long a client stays with one control-plane host; 0: each connection goes where it may"
    )
    connection_sync: bool = Field(
        True, description="the holder tells the others of connections, so that open ones outlive a hand-over"
    )


class LoadBalancer(Section):
    """The hosts with the role load-balancer. The API is at `cluster.endpoint.vip`, applications are at every VIP."""

    preferred: DnsLabel | None = Field(
        None, description="who holds the endpoint's VIP whenever it can; default: the first, and it stays where it is"
    )
    lvs: Lvs | None = Field(None, description="forward in the kernel; default: an Nginx on each load balancer does")
    instances: dict[DnsLabel, VirtualAddress] = Field({}, description="further virtual IPs, by name")
