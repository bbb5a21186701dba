"""`reboot`: hosts booted anew one after another, behind the gates of an upgrade."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.engine.lock import Owner
from kbootstrap.engine.plan import Plan
from kbootstrap.events import Note, Sink
from kbootstrap.facts.boot import MARK, RebootDue
from kbootstrap.facts.fact import read
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.settings import Serial
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.converge import Wish, converge
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.playbooks import builtin, in_batches


@dataclass(frozen=True, slots=True)
class Reboots:
    """Which hosts to boot anew: all of `limit`, or those of them whose packages ask for it."""

    limit: tuple[str, ...] = ()
    only_needed: bool = False
    batch: Serial | None = None


def reboot(cluster: Cluster, wanted: Reboots, emit: Sink) -> Plan:
    """Boots them. A run that was cut short is gone on with: only the hosts that it has not booted yet."""
    playbook = in_batches(builtin("reboot"), wanted.batch or cluster.settings.upgrades.batch)

    def mark(connections: Mapping[str, Connection], owner: Owner) -> None:
        due = RebootDue()
        seen = on_all(connections, lambda _name, host: read(host, (due,))[due])
        marked = [name for name, state in seen.items() if state.run]
        if marked:
            emit(Note(f"going on with a run that was cut short: {', '.join(marked)}, and no others"))
        elif not wanted.only_needed:
            line = f"umask 022; mkdir -p {PurePosixPath(MARK).parent}; echo {shlex.quote(owner.run)} >{MARK}"
            on_all(connections, lambda _name, host: host.run(line).require("could not mark the host"))

    return converge(cluster, Wish(playbook, limit=wanted.limit), emit, command="reboot", before=mark)
