"""IPv4 addresses and ranges that are not what they look like."""

from ipaddress import IPv4Address, IPv4Network

_SPECIAL = {
    IPv4Network("0.0.0.0/8"): "it means this machine itself",
    IPv4Network("127.0.0.0/8"): "it is a loopback address, the same on every machine",
    IPv4Network("169.254.0.0/16"): "it is link-local, not routed between machines",
    IPv4Network("224.0.0.0/4"): "it is multicast",
    IPv4Network("240.0.0.0/4"): "it is reserved",
}


def unusable(what: IPv4Address | IPv4Network) -> str | None:
    """Why an address, or a range that meets such a one, cannot be used between machines; None if it can."""
    wanted = IPv4Network(what)
    return next((reason for special, reason in _SPECIAL.items() if special.overlaps(wanted)), None)
