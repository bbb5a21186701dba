"""How controller-managers, and schedulers, agree on which of them works."""

from collections.abc import Mapping

LEADER_ELECTION: Mapping[str, object] = {
    "leader-elect": True,
    "leader-elect-lease-duration": "12s",
    "leader-elect-renew-deadline": "9s",
}
"""Another leads when the lease of one that died has run out and it has tried again: every 2 to 4.4 s (client-go: the
period, and up to 1.2 times as much by chance). That is 16.4 s at the most; with the defaults, 15 and 10 s, it was 19.4,
and 19.7 were measured where 20 are allowed. An API that does not answer for 9 s costs a leader its lease.
"""
