"""The network of a lab: a bridge in a network namespace of its own, where this machine's firewall has no part.

A veth pair leads from it to this machine, which has an address in the lab there, and one to each container; a virtual
machine has a tap. Both are called like the host.
"""

import json
import zlib
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from kbootstrap.errors import LabError
from kbootstrap.lab.command import run
from kbootstrap.lab.spec import LabSpec

BRIDGE = "_bridge"
_UPLINK = "_uplink"  # no host can be called like these

_PLAIN_SWITCH = "for call in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $call ] || echo 0 >$call; done"
"""No switch looks into packets, which is work for every one of them (it is on as soon as a host has br_netfilter)."""


def switch(lab: str) -> str:
    """The name of the network namespace with the lab's bridge, and of this machine's interface to it."""
    return f"kbl-{lab}"


def link_address(lab: str, host: str) -> str:
    """A MAC address (locally administered) that a host keeps for life, like a network card."""
    digest = zlib.crc32(f"{lab}/{host}".encode())
    return "02:4b:" + digest.to_bytes(4, "big").hex(":")


def create(spec: LabSpec) -> bool:
    """Make the lab's network unless it is there; a half-made one is made anew. True if it was made."""
    name = switch(spec.name)
    address = f"{spec.control_machine}/{spec.subnet.prefixlen}"
    if any(link["ifname"] == name and _has(link, address) for link in _interfaces()):
        return False
    remove(spec.name)
    run(["ip", "netns", "add", name])
    run(["ip", "netns", "exec", name, "sh", "-c", _PLAIN_SWITCH])
    # A fixed MAC address: otherwise the bridge takes that of one of its ports, which come and go.
    run(
        ["ip", "-netns", name, "-batch", "-"],
        stdin=f"link add {BRIDGE} address {link_address(spec.name, BRIDGE)} type bridge forward_delay 0\n"
        f"link set {BRIDGE} up\n",
    )
    run(
        ["ip", "-batch", "-"],
        stdin=f"link add {name} address {link_address(spec.name, name)} type veth peer name {_UPLINK} netns {name}\n",
    )
    run(["ip", "-netns", name, "link", "set", _UPLINK, "master", BRIDGE, "up"])
    run(["ip", "-batch", "-"], stdin=f"link set {name} up\naddress add {address} dev {name}\n")
    return True


def _has(link: dict[str, Any], address: str) -> bool:
    return "LOWER_UP" in link["flags"] and any(
        f"{entry['local']}/{entry['prefixlen']}" == address for entry in link["addr_info"]
    )


def _interfaces() -> list[dict[str, Any]]:
    interfaces: list[dict[str, Any]] = json.loads(run(["ip", "-json", "-4", "address", "show"]))
    return interfaces


def require_free(spec: LabSpec) -> None:
    """`LabError` if something else on this machine has addresses in the lab's subnet."""
    for link in _interfaces():
        for entry in link["addr_info"]:
            taken = IPv4Network(f"{entry['local']}/{entry['prefixlen']}", strict=False)
            if link["ifname"] != switch(spec.name) and taken.overlaps(spec.subnet):
                raise LabError(
                    f"{spec.subnet} is in use on {link['ifname']}",
                    hint="another lab? give this one a --subnet of its own, or take that one down",
                )


def unplug(lab: str, host: str) -> None:
    """Take the host's port away, at once."""
    run(["ip", "-netns", switch(lab), "link", "del", host], check=False)


def remove(lab: str) -> None:
    """Remove the lab's network, or what there is of it."""
    run(["ip", "link", "del", switch(lab)], check=False)
    run(["ip", "netns", "del", switch(lab)], check=False)


def traces(lab: str) -> list[str]:
    """What there is of the lab's network."""
    found = []
    if Path("/sys/class/net", switch(lab)).exists():
        found.append(f"interface {switch(lab)}")
    if Path("/run/netns", switch(lab)).exists():
        found.append(f"network namespace {switch(lab)}")
    return found
