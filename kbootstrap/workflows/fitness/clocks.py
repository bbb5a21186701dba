"""Whether the hosts agree what time it is."""

from collections.abc import Iterator, Mapping

from kbootstrap.model.cluster import Cluster
from kbootstrap.pki.issue import CLOCK_SKEW
from kbootstrap.workflows.fitness.finding import Finding

REMEDY = "on the host: run a time service (apt-get install chrony), then `chronyc makestep`; see `timedatectl`"

NOTICEABLE = 30.0
"""Seconds between this machine and all the hosts from which on it is worth a word."""


def clocks(cluster: Cluster, offsets: Mapping[str, float]) -> Iterator[Finding]:
    """Hosts whose clock differs from what most hosts say; `offsets` are seconds ahead of this machine's clock."""
    if not offsets:
        return
    allowed = cluster.settings.host.max_clock_skew_seconds
    right = consensus(list(offsets.values()), allowed)
    for host, offset in offsets.items():
        if abs(offset - right) > allowed:
            yield Finding(
                host,
                "clock",
                f"its clock is {_span(offset - right)} of the other hosts'; {allowed:g} s are allowed",
                REMEDY,
            )
    yield from _against_this_machine(next(iter(offsets)), right)


def consensus(offsets: list[float], allowed: float) -> float:
    """The middle of the largest group of clocks that agree; between equal groups, of the one nearest to ours."""
    ordered = sorted(offsets)
    groups = [[other for other in ordered if first <= other <= first + allowed] for first in ordered]
    best = max(groups, key=lambda group: (len(group), -abs(group[len(group) // 2])))
    return best[len(best) // 2]


def _against_this_machine(host: str, right: float) -> Iterator[Finding]:
    """Certificates are dated by this machine's clock: a host that is far behind would not accept them yet."""
    too_early = -right > CLOCK_SKEW.total_seconds()
    if abs(right) > NOTICEABLE:
        yield Finding(
            host,
            "clock",
            f"the hosts' clocks are {_span(right)} of this machine's"
            + (": certificates issued here would not be valid there yet" if too_early else ""),
            "set the clock of the machine that runs kbootstrap, or the hosts'",
            stops=too_early,
        )


def _span(seconds: float) -> str:
    amount = abs(seconds)
    text = (
        f"{amount:.1f} s" if amount < 120 else f"{amount / 60:.0f} min" if amount < 7200 else f"{amount / 3600:.1f} h"
    )
    return f"{text} {'ahead' if seconds > 0 else 'behind'}"
