"""`restore --undo`: etcd as it was before a restore, whether that came to its end or not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from kbootstrap.components import etcd
from kbootstrap.engine.lock import Owner
from kbootstrap.errors import PreflightFailed
from kbootstrap.events import Sink
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.pki import gather_pki
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki.authority import Pki
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import opened as opened_hosts
from kbootstrap.workflows.apply import Run, exclusive, execute
from kbootstrap.workflows.playbooks import builtin
from kbootstrap.workflows.restore.record import RECORD_FACTS, Record, done, under_way
from kbootstrap.workflows.restore.restore import finish, forget_leaders, restart_dns, start_everything
from kbootstrap.workflows.restore.steps import UNDONE, Restoration
from kbootstrap.workflows.restore.survey import restoring_survey
from kbootstrap.workflows.survey import FirstLook, first_look


@dataclass(frozen=True, slots=True)
class Undo:
    """An undoing that can begin."""

    cluster: Cluster
    connections: Mapping[str, Connection]
    looks: Mapping[str, FirstLook]
    pki: Pki
    restoration: Restoration
    ended: bool
    """Whether the restore had ended: what was written since is lost."""
    run: Run


@contextmanager
def prepared_undo(cluster: Cluster, owner: Owner, emit: Sink) -> Iterator[Undo]:
    """Looks for what can be put back. Raises PreflightFailed when there is nothing, or too little for a quorum."""
    with opened_hosts(cluster) as connections, exclusive(cluster, connections, owner, emit) as run:
        more = dict.fromkeys(connections, RECORD_FACTS)
        looks = first_look(cluster, connections, more)
        seen = {name: look.facts for name, look in looks.items()}
        record, ended = _record(seen)
        _require_quorum(cluster, connections, record)
        pki = gather_pki(cluster, seen, datetime.now(UTC))
        if pki is None:
            raise PreflightFailed("the hosts have no keys of a cluster; there is nothing to go back to")
        yield Undo(cluster, connections, looks, pki, Restoration(record), ended, run)


def _record(seen: Mapping[str, Facts]) -> tuple[Record, bool]:
    for find, ended in ((under_way, False), (done, True)):
        for facts in seen.values():
            record = find(facts)
            if record is not None:
                return record, ended
    raise PreflightFailed("no restore was begun on these hosts; there is nothing to undo")


def _require_quorum(cluster: Cluster, connections: Mapping[str, Connection], record: Record) -> None:
    """The old data are on a majority of the members: where they were moved to, or not moved at all yet."""
    folder = record.aside
    test = f"[ -d {folder}/member ] || {{ [ ! -e {folder}/moved ] && [ -d {etcd.DATA}/member ]; }}"
    members = [host.name for host in cluster.etcd_members]
    holders = [name for name in members if connections[name].run(test).ok]
    if len(holders) <= len(members) // 2:
        raise PreflightFailed(
            f"data from before the restore are on {len(holders)} of {len(members)} members: that is no quorum;"
            " nothing was changed"
        )


def undo(ready: Undo) -> None:
    """Does it. Whatever stops it, running it again goes on."""
    survey = restoring_survey(ready, builtin("restore-undo"))
    execute(ready.cluster, ready.connections, survey, ready.run)
    forget_leaders(ready.cluster, ready.connections, ready.run.emit)
    start_everything(ready.cluster, ready.connections, ready.run)
    restart_dns(ready.cluster, ready.connections, ready.run.emit)
    finish(ready.cluster, ready.connections, UNDONE)
