"""What backups there are, where they lie, and what could be recovered now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.errors import KbootstrapError
from kbootstrap.events import Note, Sink
from kbootstrap.facts.backups import LOCAL, BackupsSeen, Copy, LastRun, Record
from kbootstrap.facts.etcd import EtcdStatus, MemberStatus
from kbootstrap.facts.fact import read
from kbootstrap.model.cluster import Cluster
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.backups.hosts import BACKUPS, etcd_hosts
from kbootstrap.workflows.backups.program import refresh
from kbootstrap.workflows.parallel import on_all

_ETCD = EtcdStatus(LOCAL_BIN / "etcdctl")

OVERDUE = 1.5
"""Of the timers' pause: an older backup means that one was left out."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup, and the places that have it: hosts and targets. `bytes` of the encrypted file."""

    id: str
    host: str
    made: datetime
    revision: int
    keys: int
    bytes: int
    good: tuple[str, ...]
    damaged: Mapping[str, str]
    """By place, what is wrong with the copy there."""
    verified: str
    """When a copy was last read again and found good; empty if never since it was written."""
    rehearsed: Record | None

    @property
    def proven(self) -> bool:
        return self.rehearsed is not None and self.rehearsed.ok


@dataclass(frozen=True, slots=True)
class Overview:
    """All backups, the newest first, and how each host's last run went."""

    seen_at: datetime
    backups: tuple[Kept, ...]
    runs: Mapping[str, LastRun]
    next: Mapping[str, str]
    revision: int | None
    """Of etcd now; None when no member answers."""
    pause: timedelta | None = None
    """The longest that the timers leave between two backups; None without timers."""

    @property
    def recovery_point(self) -> Kept | None:
        """What a restore would bring back now."""
        return next((kept for kept in self.backups if kept.good), None)

    @property
    def overdue(self) -> bool:
        """Whether a timer should have made a newer good one."""
        point = self.recovery_point
        return point is not None and self.pause is not None and self.seen_at - point.made > OVERDUE * self.pause


def overview(cluster: Cluster, emit: Sink) -> Overview:
    """Asks all etcd hosts that can be reached; one of them looks at the targets."""
    with etcd_hosts(cluster, emit) as connections:
        refreshed = _refreshed(cluster, connections, emit)
        seen = on_all(connections, lambda _name, connection: read(connection, (BACKUPS, _ETCD)))
    found = {name: facts[BACKUPS] for name, facts in seen.items()}
    members = [facts[_ETCD] for facts in seen.values()]
    return summarize(found, refreshed, members, datetime.now(UTC))


def timers(cluster: Cluster, emit: Sink) -> dict[str, str]:
    """When each host's timer fires next; empty for one without."""
    with etcd_hosts(cluster, emit) as connections:
        return on_all(connections, lambda _name, connection: read(connection, (BACKUPS,))[BACKUPS].next)


def _refreshed(cluster: Cluster, connections: Mapping[str, Connection], emit: Sink) -> str | None:
    """The host whose view of the targets is fresh."""
    if not cluster.settings.backup.targets:
        return None
    for name, connection in connections.items():
        try:
            refresh(connection)
        except KbootstrapError as error:
            emit(Note(f"the targets could not all be looked at: {error.output or error.message}", name, "warning"))
        return name
    return None


def summarize(
    seen: Mapping[str, BackupsSeen], refreshed: str | None, members: Iterable[MemberStatus | None], now: datetime
) -> Overview:
    """Brings together what hosts know. Of targets only the fresh view counts; without one, everybody's."""
    copies: dict[str, dict[str, Copy]] = {}
    for host, view in seen.items():
        for place, found in view.places.items():
            if place == LOCAL or refreshed in (None, host):
                for copy in found:
                    copies.setdefault(copy.id, {})[host if place == LOCAL else place] = copy
    return Overview(
        seen_at=now,
        backups=tuple(sorted((_kept(places) for places in copies.values()), key=_newest, reverse=True)),
        runs={host: view.last for host, view in seen.items() if view.last is not None},
        next={host: view.next for host, view in seen.items()},
        revision=max((member.revision for member in members if member is not None), default=None),
        pause=max((view.pause for view in seen.values() if view.pause is not None), default=None),
    )


def _newest(kept: Kept) -> tuple[datetime, str]:
    return kept.made, kept.id


def _kept(places: Mapping[str, Copy]) -> Kept:
    any_copy = next(iter(places.values()))
    records = [copy.rehearsed for copy in places.values() if copy.rehearsed is not None]
    return Kept(
        id=any_copy.id,
        host=any_copy.host,
        made=any_copy.made,
        revision=any_copy.revision,
        keys=any_copy.keys,
        bytes=max(copy.bytes for copy in places.values()),
        good=tuple(place for place, copy in places.items() if copy.good),
        damaged={place: _what_is_wrong(copy) for place, copy in places.items() if not copy.good},
        verified=max((copy.verified.at for copy in places.values() if copy.verified and copy.verified.ok), default=""),
        rehearsed=max(records, key=lambda record: record.at, default=None),
    )


def _what_is_wrong(copy: Copy) -> str:
    if not copy.complete:
        return "its file is missing" if copy.bytes == 0 else "its file does not have the right length"
    return copy.verified.error if copy.verified else ""
