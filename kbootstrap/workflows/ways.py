"""How this machine reaches a cluster that it probes: directly, or through SSH to one of its hosts."""

import socket
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

from kbootstrap.components.kubelet import PORT as KUBELET_PORT
from kbootstrap.errors import Unreachable
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.probes.spec import Target
from kbootstrap.transport.apart import tunnels_apart
from kbootstrap.transport.connection import Connection
from kbootstrap.transport.timeouts import Timeouts

TUNNEL_RATE = 10.0
"""Requests of a probe per second where they go through SSH: a channel for each costs this process ten times as much."""

REACH_SECONDS = 3.0
"""For this machine to reach an address, before a tunnel is used instead."""

LOOPBACK = "127.0.0.1"

Entry = Literal["nodes", "endpoint"]
"""Where users find an application: at every node, or at the endpoint."""

ROUND_TRIPS = 10
"""So many tell how long a way through SSH takes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests come from: this machine, or a `host` through SSH; `round_trip` is its longest, in seconds."""

    endpoint: Target
    ports: tuple[Target, ...]
    host: str = ""
    round_trip: float = 0.0


@dataclass(slots=True)
class Ways:
    """The ways to a cluster; what is opened for them is closed with `stack`. `tunnelled`: some go through SSH."""

    cluster: Cluster
    connections: Mapping[str, Connection]
    through: str
    stack: ExitStack
    tunnelled: bool = False

    def endpoint(self) -> Target:
        """The API as clients find it: of proxies on every node, a worker's."""
        port = self.cluster.settings.endpoint.port
        if self.cluster.settings.endpoint.mode == "local":
            return self._tunnel(LOOPBACK, port)
        if _answers(self.cluster.endpoint_host, port):
            return Target(self.cluster.endpoint_host, port)
        return self._tunnel(self.cluster.endpoint_host, port)

    def to_application(self, entry: Entry, port: int) -> list[Target]:
        """A port of every node, or of the endpoint."""
        if entry == "endpoint":
            return [self._to_node(self.cluster.endpoint_host, "endpoint", port)]
        return [self._to_node(str(node.address), node.name, port) for node in self.cluster.nodes]

    def to_edge(self, port: int) -> Target:
        """A port of the endpoint's virtual IP, where load balancers serve applications."""
        address = self.cluster.endpoint_host
        return Target(address, port) if _answers(address, port) else self._tunnel(address, port)

    def from_worker(self, here: Place, hurt: Collection[str]) -> Place | None:
        """A worker to which nothing is done, as a place to send the same from; None where there is none.

        The host itself makes the connections, with its own routes and what it has learned of its neighbours. What
        comes from `here` through SSH comes from a worker already.
        """
        workers = (host for host in self.cluster.nodes if host.is_worker and host.name not in hurt)
        host = next((host for host in workers if host.name in self.connections), None)
        if host is None or self.tunnelled:
            return None
        connection = self.connections[host.name]
        targets = (here.endpoint, *here.ports)
        limits = Timeouts(connect=self.cluster.settings.timeouts.connect_seconds)
        ways = self.stack.enter_context(tunnels_apart(host, [(one.host, one.port) for one in targets], limits))
        endpoint, *ports = (replace(one, host=LOOPBACK, port=way) for one, way in zip(targets, ways, strict=True))
        return Place(
            endpoint=endpoint,
            ports=tuple(ports),
            host=host.name,
            round_trip=max(_timed(connection) for _ in range(ROUND_TRIPS)),
        )

    def to_member(self, member: Host, port: int, *, lasting: bool) -> Target | None:
        """A port of a host, directly or, if its connection is `lasting`, through SSH to that very host."""
        if _answers(str(member.address), port):
            return Target(str(member.address), port, member.name)
        if not lasting:
            return None
        tunnel = self.stack.enter_context(self.connections[member.name].tunnel(LOOPBACK, port))
        return Target(LOOPBACK, tunnel, member.name)

    def _to_node(self, address: str, name: str, port: int) -> Target:
        """Whether a node can be reached is tried where something listens on every one: at the kubelet's."""
        if _answers(address, KUBELET_PORT):
            return Target(address, port, name)
        return replace(self._tunnel(address, port), name=name)

    def _tunnel(self, address: str, port: int) -> Target:
        self.tunnelled = True
        return Target(LOOPBACK, self.stack.enter_context(self._connection().tunnel(address, port)))

    def _connection(self) -> Connection:
        """Of the host that was named, else of a worker: they are less of a control plane's load."""
        hosts = sorted(self.cluster.nodes, key=lambda host: (host.name != self.through, host.is_control_plane))
        found = next((self.connections[host.name] for host in hosts if host.name in self.connections), None)
        if found is None:
            raise Unreachable("this machine does not reach the cluster's endpoint, and no host is there to go through")
        return found


def _answers(host: str, port: int) -> bool:
    """Whether a TCP connection can be made from here."""
    try:
        socket.create_connection((host, port), REACH_SECONDS).close()
    except OSError:
        return False
    return True


def _timed(connection: Connection) -> float:
    """Seconds of a command that does nothing."""
    began = time.monotonic()
    connection.run(":")
    return time.monotonic() - began
