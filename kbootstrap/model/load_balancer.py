"""The section of an inventory about the hosts that only balance: which virtual addresses they hold."""

from ipaddress import IPv4Address
from typing import Annotated

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


class LoadBalancer(Section):
    """The hosts with the role load-balancer. The API is at `cluster.endpoint.vip`, applications are at every VIP."""

    preferred: DnsLabel | None = Field(
        None, description="who holds the endpoint's VIP whenever it can; default: the first, and it stays where it is"
    )
    instances: dict[DnsLabel, VirtualAddress] = Field({}, description="further virtual IPs, by name")
