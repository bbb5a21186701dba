"""Connections to jump hosts, shared by the hosts behind them: one connection for fifty, not fifty."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

import fabric
from paramiko import SSHException

from kbootstrap.transport.route import Target


@dataclass(slots=True, eq=False)
class Jump:
    """The way through one or more jump hosts, and how many use it."""

    hops: tuple[Target, ...]
    opened: "Future[fabric.Connection]" = field(default_factory=Future)
    users: int = 0

    @property
    def connection(self) -> fabric.Connection:
        """The last hop's connection; waits for whoever opens it, and raises what that one met."""
        return self.opened.result()

    @property
    def lost(self) -> bool:
        if not self.opened.done():
            return False
        return self.opened.exception() is not None or not self.opened.result().is_connected


class Jumps:
    """The jump hosts in use. Whoever comes first opens one, whoever leaves last closes it."""

    def __init__(self, open_chain: Callable[[tuple[Target, ...]], fabric.Connection]) -> None:
        self._open_chain = open_chain
        self._lock = threading.Lock()
        self._jumps: dict[tuple[Target, ...], Jump] = {}

    def enter(self, hops: tuple[Target, ...]) -> Jump:
        """Raises what opening raised, to all who waited for it; the next one to come tries again."""
        with self._lock:
            jump = self._jumps.get(hops)
            first = jump is None or jump.lost
            if jump is None or first:
                jump = self._jumps[hops] = Jump(hops)
            jump.users += 1
        if first:
            try:
                jump.opened.set_result(self._open_chain(hops))
            except BaseException as error:
                jump.opened.set_exception(error)
        jump.opened.result()
        return jump

    def leave(self, jump: Jump) -> None:
        with self._lock:
            jump.users -= 1
            if jump.users > 0:
                return
            if self._jumps.get(jump.hops) is jump:
                del self._jumps[jump.hops]
        close_chain(jump.connection)


def close_chain(connection: fabric.Connection) -> None:
    """Closes a connection and all that it goes through, the innermost first."""
    while isinstance(connection, fabric.Connection):
        hang_up(connection)
        connection = connection.gateway


def hang_up(connection: fabric.Connection) -> None:
    """Closes one connection, however dead it is, or what it goes through."""
    with suppress(SSHException, OSError, EOFError):
        connection.client.close()
