"""A virtual IP that is about to leave a host: who asks now is to find the next holder."""

from collections.abc import Iterable
from ipaddress import IPv4Address

TABLE = "kbootstrap-handover"

ANSWERED_SECONDS = 0.2
"""For the answers to requests that are under way: a busy cluster gives 99 of 100 in this time. It is a part of what a
hand-over costs new connections, of which all may be 0.5 s. A connection that meets silence is tried again after 1 s
(RFC 6298, 2.1): by then this time and VRRP's hand-over (0.1 to 0.65 s, measured) are over."""

FORGOTTEN_SECONDS = 3
"""The kernel answers again by itself, also when nobody comes back to say so."""


def turn_away(vips: Iterable[IPv4Address]) -> str:
    """A shell line: new connections meet silence, so that their clients come again and find the next holder, and
    requests under way are answered. Those that are under way when the address goes fail.

    It fails where nft is not to be had.
    """
    rules = (
        f"table ip {TABLE}; delete table ip {TABLE}; table ip {TABLE} {{"
        f" set leaving {{ type ipv4_addr; flags timeout; timeout {FORGOTTEN_SECONDS}s; }};"
        " chain input { type filter hook input priority -10;"
        " ip daddr @leaving tcp flags & (syn | ack) == syn drop; };"
        f" }}; add element ip {TABLE} leaving {{ {', '.join(map(str, sorted(vips)))} }}"
    )
    return f"nft '{rules}' && sleep {ANSWERED_SECONDS}"
