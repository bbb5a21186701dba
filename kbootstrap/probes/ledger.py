"""The ledger: what became of every write. Pure.

A write is acknowledged (the answer said so), failed (it certainly was not carried out: it never left, or was refused)
or unknown (everything else: no answer, an error of the server, or not written down because the prober was killed).
Only what was acknowledged may be missed; what is unknown may be there or not.
"""

from collections.abc import Collection
from dataclasses import dataclass

from kbootstrap.probes.samples import Track
from kbootstrap.probes.spec import object_name


@dataclass(frozen=True, slots=True)
class Ledger:
    """The names of the objects of all writes, by what became of these."""

    acknowledged: frozenset[str]
    failed: frozenset[str]
    unknown: frozenset[str]

    @property
    def sent(self) -> int:
        return len(self.acknowledged) + len(self.failed) + len(self.unknown)

    def compared(self, present: Collection[str], where: str) -> "Verdict":
        """Against the names of what is there; `where` says who was asked, such as `the API` or `etcd on cp1`."""
        found = frozenset(present)
        return Verdict(
            where,
            acknowledged=len(self.acknowledged),
            failed=len(self.failed),
            unknown=len(self.unknown),
            lost=tuple(sorted(self.acknowledged - found)),
            unexpected=tuple(sorted(self.failed & found)),
            unknown_present=len(self.unknown & found),
        )

    def unread(self, where: str, problem: str) -> "Verdict":
        """When there was no reading back."""
        return Verdict(where, len(self.acknowledged), len(self.failed), len(self.unknown), problem=problem)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reading back has shown.

    `lost`: acknowledged, and not there. `unexpected`: failed, and there nevertheless, which no client would believe.
    `unknown_present`: how many of the unknown are there. `problem`: why it could not be read.
    """

    where: str
    acknowledged: int
    failed: int
    unknown: int
    lost: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    unknown_present: int = 0
    problem: str = ""

    @property
    def good(self) -> bool:
        """Read, and nothing that was acknowledged is missing."""
        return not (self.problem or self.lost)


def ledger(tracks: Collection[Track]) -> Ledger:
    """The ledger of all writing probes."""
    acknowledged: set[str] = set()
    failed: set[str] = set()
    unknown: set[str] = set()
    for track in tracks:
        written_down = {*track.serials, *(failure.serial for failure in track.failures)}
        acknowledged.update(object_name(track.name, serial) for serial in track.serials)
        for failure in track.failures:
            (unknown if failure.maybe else failed).add(object_name(track.name, failure.serial))
        silent = set(range(track.highest + 1)) - written_down
        unknown.update(object_name(track.name, serial) for serial in silent)
    return Ledger(frozenset(acknowledged), frozenset(failed), frozenset(unknown))
