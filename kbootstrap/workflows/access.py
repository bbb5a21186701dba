"""Connections to all hosts of a cluster, opened together and closed together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from kbootstrap.errors import HostsFailed, KbootstrapError
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.transport.connection import Connection
from kbootstrap.transport.ssh import connect_all
from kbootstrap.transport.timeouts import Timeouts
from kbootstrap.workflows.passwords import sudo_passwords


@contextmanager
def opened(cluster: Cluster, hosts: Sequence[Host] | None = None) -> Iterator[dict[str, Connection]]:
    """Connections to the hosts (all, unless told otherwise). Raises when any of them cannot be reached."""
    with reached(cluster, hosts) as (connections, failures):
        require_all(failures)
        yield connections


@contextmanager
def reached(
    cluster: Cluster, hosts: Sequence[Host] | None = None
) -> Iterator[tuple[dict[str, Connection], dict[str, KbootstrapError]]]:
    """Connections to those hosts that can be reached, and why the others cannot."""
    said = cluster.settings.timeouts
    opened_or_failed = connect_all(
        hosts if hosts is not None else cluster.hosts,
        timeouts=Timeouts(connect=said.connect_seconds, scale=said.scale),
        sudo_password=sudo_passwords(),
    )
    connections: dict[str, Connection] = {}
    failures: dict[str, KbootstrapError] = {}
    for name, outcome in opened_or_failed.items():
        if isinstance(outcome, KbootstrapError):
            failures[name] = outcome
        else:
            connections[name] = outcome
    try:
        yield connections, failures
    finally:
        for connection in connections.values():
            connection.close()


def require_all(failures: Mapping[str, KbootstrapError]) -> None:
    """Raises the failures, if there are any."""
    if len(failures) == 1:
        raise next(iter(failures.values()))
    if failures:
        raise HostsFailed(
            f"{len(failures)} hosts cannot be reached; nothing was changed",
            list(failures.values()),
            hint="mend the access to them, or leave them out with --limit",
        )
