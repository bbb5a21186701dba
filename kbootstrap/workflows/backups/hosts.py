"""The hosts that make backups, and what they know of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from kbootstrap.components import backup
from kbootstrap.errors import InvalidInput
from kbootstrap.events import Note, Sink
from kbootstrap.facts.backups import HostBackups
from kbootstrap.model.cluster import Cluster
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import reached

BACKUPS = HostBackups(backup.FOLDER, backup.SEEN, backup.LAST, backup.TIMER)


def require_configured(cluster: Cluster) -> None:
    """Raises InvalidInput when the inventory does not ask for backups."""
    if not cluster.settings.backup.on:
        raise InvalidInput(
            "the inventory has no recipients for backups",
            hint="age-keygen -o backup.key; then in the inventory backup: {recipients: [age1…]}, and kbootstrap up",
        )


@contextmanager
def etcd_hosts(cluster: Cluster, emit: Sink) -> Iterator[dict[str, Connection]]:
    """Connections to those etcd hosts that can be reached: one is enough. Raises Unreachable when none can be."""
    require_configured(cluster)
    with reached(cluster, cluster.etcd_members) as (connections, failures):
        if not connections:
            raise next(iter(failures.values()))
        for failure in failures.values():
            emit(Note(f"cannot be asked: {failure.message}", host=failure.host, level="warning"))
        yield connections
