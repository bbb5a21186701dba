"""From bare hosts to a cluster, with everything that has to be delivered in this machine's cache."""

from benchmarks.bed import Bed
from benchmarks.contest import Contender, Contest
from benchmarks.floor import Floor

CHANGES = 2
"""What `kbootstrap plan` ends with when there are some."""


def contest(bed: Bed) -> Contest:
    """`up` as a whole process, against a floor; both begin with new hosts and end when nodes and DNS are ready."""
    floor = Floor(bed)
    return Contest(
        "up",
        f"bare hosts to a ready cluster, {len(bed.hosts)} hosts",
        (
            Contender("kbootstrap up", lambda: bed.kbootstrap("up"), prepare=lambda: _bare(bed)),
            Contender("floor", floor.run, prepare=floor.prepare, verify=lambda: bed.kbootstrap("plan", "--no-diff")),
        ),
    )


def _bare(bed: Bed) -> None:
    """New hosts. Making a plan brings what is missing into the cache, and changes nothing on them."""
    bed.renew()
    bed.kbootstrap("plan", "--no-diff", codes=(CHANGES,))
