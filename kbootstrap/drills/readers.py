"""Reads the probes' writes back from every etcd member: from the member's own data, without asking the others."""

from collections.abc import Iterable, Iterator, Mapping

from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.errors import CommandFailed
from kbootstrap.model.cluster import Cluster
from kbootstrap.probes.application import Stage
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows import etcd_writes
from kbootstrap.workflows.probing import Reader
from kbootstrap.workflows.sweeping import kept_at

READ_SECONDS = 60.0


def member_readers(cluster: Cluster, connections: Mapping[str, Connection]) -> dict[str, Reader]:
    """One for each member whose host is connected, by what reports call it."""
    return {
        f"etcd on {member.name}": _reader(connections[member.name])
        for member in cluster.etcd_members
        if member.name in connections
    }


def _reader(connection: Connection) -> Reader:
    def read(stage: Stage) -> Iterable[str]:
        yield from _names(connection, kept_at(stage))
        yield from _names(connection, etcd_writes.prefix_of(stage))

    return read


def _names(connection: Connection, prefix: str) -> Iterator[str]:
    """What follows the prefix in the member's keys."""
    command = f"{LOCAL_BIN}/etcdctl --command-timeout={READ_SECONDS:.0f}s get {prefix} --prefix --keys-only"
    result = connection.run(f"{command} --consistency=s", timeout=READ_SECONDS + 10)
    result.require("the member's own data cannot be read")
    if result.truncated:
        raise CommandFailed("the member has more keys than can be read", host=connection.name)
    return (line.removeprefix(prefix) for line in result.text.splitlines() if line.startswith(prefix))
