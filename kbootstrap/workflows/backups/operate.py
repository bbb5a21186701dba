"""`backup run`, `verify` and `prune`: the program on the right hosts, and what it said."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from kbootstrap.engine.selectors import limited
from kbootstrap.errors import CommandFailed, HostsFailed, InvalidInput, KbootstrapError
from kbootstrap.events import PhaseFinished, PhaseStarted, Sink
from kbootstrap.facts.backups import LOCAL
from kbootstrap.facts.fact import read
from kbootstrap.model.cluster import Cluster
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.backups import program
from kbootstrap.workflows.backups.hosts import BACKUPS, etcd_hosts
from kbootstrap.workflows.leaders import leads_etcd
from kbootstrap.workflows.parallel import on_all

R = TypeVar("R")

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A copy that was read again; `place` is a host or a target."""

    place: str
    id: str
    ok: bool
    reason: str = ""


def run(cluster: Cluster, limit: Sequence[str], emit: Sink) -> dict[str, str]:
    """A backup on each of these etcd hosts, one after another (by default: where etcd's leader is); the IDs by host.

    Raises CommandFailed, Locked or HostsFailed; what one host cannot do keeps no other from it.
    """
    asked = [host.name for host in limited(cluster, limit)] if limit else []
    others = sorted(set(asked) - {host.name for host in cluster.etcd_members})
    if others:
        raise InvalidInput(f"{', '.join(others)}: not an etcd host", hint="backups are made where etcd's members are")
    made: dict[str, str] = {}
    failures: list[KbootstrapError] = []
    with etcd_hosts(cluster, emit) as connections:
        missing = [name for name in asked if name not in connections]
        if missing:
            raise CommandFailed(f"cannot be reached: {', '.join(missing)}")
        for name in asked or _leader(connections):
            with _phase("backup", name, emit, failures):
                made[name] = program.make(connections[name], emit)
    _raise(failures)
    return made


def _leader(connections: Mapping[str, Connection]) -> list[str]:
    leads = on_all(connections, lambda _name, connection: leads_etcd(connection))
    return [name for name, yes in leads.items() if yes] or [next(iter(connections))]


@contextmanager
def _phase(what: str, host: str, emit: Sink, failures: list[KbootstrapError]) -> Iterator[None]:
    began = time.monotonic()
    emit(PhaseStarted(what, host))
    try:
        yield
        error = None
    except KbootstrapError as failure:
        failures.append(failure)
        error = failure.message
    emit(PhaseFinished(what, host, time.monotonic() - began, int(error is None), error))


def _raise(failures: Sequence[KbootstrapError]) -> None:
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise HostsFailed(f"{len(failures)} hosts failed", failures)


def verify(cluster: Cluster, wanted: str | None, emit: Sink) -> list[Verdict]:
    """Reads every copy of a backup (an ID or `latest`; None: of all) again: hosts their own, one host the targets'."""
    with etcd_hosts(cluster, emit) as connections:
        backup = _newest(connections) if wanted == LATEST else wanted
        return _at_places(cluster, connections, lambda host, place: _verify(host, place, backup))


def _newest(connections: Mapping[str, Connection]) -> str:
    seen = on_all(connections, lambda _name, connection: read(connection, (BACKUPS,))[BACKUPS])
    copies = [copy for view in seen.values() for place in view.places.values() for copy in place]
    if not copies:
        raise CommandFailed("the hosts know of no backup", hint="kbootstrap backup run")
    return max(copies, key=lambda copy: copy.made).id


def _verify(connection: Connection, place: str, backup: str | None) -> list[Verdict]:
    result = program.verify(connection, place, backup)
    found = []
    for line in result.text.splitlines():
        word, where, name, *reason = line.split(" ", 3)
        found.append(Verdict(connection.name if where == LOCAL else where, name, word == "ok", "".join(reason)))
    if not result.ok and all(verdict.ok for verdict in found):
        raise CommandFailed(program.last_words(result) or "the copies cannot be read", host=result.host)
    return found


def prune(cluster: Cluster, emit: Sink, *, only_plan: bool) -> list[tuple[str, str]]:
    """Deletes what the policy does not keep, or says what it would: places (hosts and targets) and IDs."""
    with etcd_hosts(cluster, emit) as connections:
        return _at_places(cluster, connections, lambda host, place: _prune(host, place, only_plan=only_plan))


def _prune(connection: Connection, place: str, *, only_plan: bool) -> list[tuple[str, str]]:
    dropped = [line.split(" ", 1) for line in program.prune(connection, place, only_plan=only_plan)]
    return [(connection.name if where == LOCAL else where, name) for where, name in dropped]


def _at_places(
    cluster: Cluster, connections: Mapping[str, Connection], work: Callable[[Connection, str], list[R]]
) -> list[R]:
    """Every host looks after its own copies, and one of them after those at the targets."""
    own = on_all(connections, lambda _name, connection: work(connection, LOCAL))
    first = next(iter(connections.values()))
    theirs = [work(first, target) for target in cluster.settings.backup.targets]
    return [each for found in (*own.values(), *theirs) for each in found]
