"""Whether the hosts agree what time it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kbootstrap.model.cluster import Cluster
from kbootstrap.pki.issue import CLOCK_SKEW
from kbootstrap.workflows.fitness.finding import Finding

REMEDY = "on the host: run a time service (apt-get install chrony), then `chronyc makestep`; see `timedatectl`"

NOTICEABLE = 30.0
"""Seconds between this machine and all the hosts from which on it is worth a word."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How many seconds a host's clock is ahead of this machine's, and how far off that may be."""

    offset: float
    error: float = 0.0


def clocks(cluster: Cluster, hosts: Mapping[str, Clock]) -> Iterator[Finding]:
    """Hosts whose clock certainly differs from what most hosts say."""
    if not hosts:
        return
    allowed = cluster.settings.host.max_clock_skew_seconds
    right = consensus(list(hosts.values()), allowed)
    for host, clock in hosts.items():
        if abs(clock.offset - right.offset) - clock.error - right.error > allowed:
            yield Finding(
                host,
                "clock",
                f"its clock is {_span(clock.offset - right.offset)} the other hosts'; {allowed:g} s are allowed",
                REMEDY,
            )
    yield from _against_this_machine(next(iter(hosts)), right)


def consensus(clocks: list[Clock], allowed: float) -> Clock:
    """The middle of the largest group of clocks that agree; between equal groups, of the one nearest to ours."""
    ordered = sorted(clocks, key=lambda clock: clock.offset)
    groups = [[other for other in ordered if 0 <= other.offset - first.offset <= allowed] for first in ordered]
    best = max(groups, key=lambda group: (len(group), -abs(group[len(group) // 2].offset)))
    return best[len(best) // 2]


def _against_this_machine(host: str, right: Clock) -> Iterator[Finding]:
    """Certificates are dated by this machine's clock: a host that is far behind would not accept them yet."""
    too_early = -right.offset - right.error > CLOCK_SKEW.total_seconds()
    if abs(right.offset) - right.error > NOTICEABLE:
        yield Finding(
            host,
            "clock",
            f"the hosts' clocks are {_span(right.offset)} this machine's"
            + (": certificates issued here would not be valid there yet" if too_early else ""),
            "set the clock of the machine that runs kbootstrap, or the hosts'",
            stops=too_early,
        )


def _span(seconds: float) -> str:
    amount = abs(seconds)
    text = (
        f"{amount:.1f} s" if amount < 120 else f"{amount / 60:.0f} min" if amount < 7200 else f"{amount / 3600:.1f} h"
    )
    return f"{text} {'ahead of' if seconds > 0 else 'behind'}"
