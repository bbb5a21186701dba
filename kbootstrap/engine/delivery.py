"""How artifacts get from this machine's cache to a host: over HTTP, over HTTP through SSH, or pushed over SSH."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.artifacts.depot import Depot
from kbootstrap.engine.script import fetch_from_folder, fetch_over_http
from kbootstrap.transport.connection import Connection

Way = Literal["auto", "depot", "tunnel", "push"]

INCOMING = "/var/cache/kbootstrap/incoming"
"""Where pushed artifacts wait on a host until their step takes them."""

PROBE_SECONDS = 2
"""How long a host may take to reach the depot before the tunnel is used instead."""


@dataclass(slots=True)
class Delivery:
    """Serves `artifacts` (by digest) to hosts while it is open; each host's way is found once."""

    artifacts: Mapping[str, Artifact]
    addresses: Mapping[str, str]
    """Where each host is reached from here; empty for one behind a jump host."""
    way: Way
    _stack: ExitStack
    _depots: dict[str, Depot] = field(default_factory=dict)
    _ways: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _host_locks: dict[str, Lock] = field(default_factory=dict)

    def __call__(self, connection: Connection, digests: Sequence[str]) -> str:
        """The shell function `fetch` for a host that is about to need `digests`."""
        with self._lock:
            host_lock = self._host_locks.setdefault(connection.name, Lock())
        if self.way == "push":
            return self._pushed(connection, digests)
        with host_lock:
            if connection.name not in self._ways:
                self._ways[connection.name] = self._find_way(connection)
        return self._ways[connection.name]

    def _find_way(self, connection: Connection) -> str:
        target = self.addresses.get(connection.name)
        local = local_address_towards(target) if target and self.way != "tunnel" else None
        if local is not None:
            base = f"http://{local}:{self._depot(local).port}/sha256"
            some = next(iter(self.artifacts))
            probe = f"curl -s -o /dev/null -I --connect-timeout {PROBE_SECONDS} {base}/{some}"
            if self.way == "depot" or connection.run(probe, timeout=PROBE_SECONDS * 5).ok:
                return fetch_over_http(base)
        with self._lock:
            port = self._stack.enter_context(connection.serve_locally(self._depot("127.0.0.1", locked=True).port))
        return fetch_over_http(f"http://127.0.0.1:{port}/sha256")

    def _depot(self, address: str, *, locked: bool = False) -> Depot:
        if not locked:
            with self._lock:
                return self._depot(address, locked=True)
        if address not in self._depots:
            self._depots[address] = self._stack.enter_context(Depot(list(self.artifacts.values()), bind=address))
        return self._depots[address]

    def _pushed(self, connection: Connection, digests: Sequence[str]) -> str:
        connection.run(f"mkdir -p -m 700 {INCOMING}").require("there is no place for artifacts on the host")
        for sha256 in digests:
            connection.put_file(str(self.artifacts[sha256].path), f"{INCOMING}/{sha256}")
        return fetch_from_folder(INCOMING)


@contextmanager
def delivering(artifacts: Sequence[Artifact], addresses: Mapping[str, str], way: Way) -> Iterator[Delivery]:
    """A delivery that is open for as long as the context."""
    with ExitStack() as stack:
        yield Delivery({artifact.sha256: artifact for artifact in artifacts}, addresses, way, stack)


def local_address_towards(target: str) -> str | None:
    """This machine's own address on the way to `target`; nothing is sent. None for what only SSH knows the way to."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            address: str = probe.getsockname()[0]
            return address
    except OSError:
        return None
