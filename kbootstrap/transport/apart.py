"""Tunnels that a process of its own keeps: who measures through them is not held up by what this one does.

All threads of a Python process take turns. While this one looked at all hosts, requests through its tunnels waited for
up to 1.6 s (measured on two cores).
"""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection as Pipe

from kbootstrap.errors import KbootstrapError, Unreachable
from kbootstrap.model.cluster import Host
from kbootstrap.priority import go_first
from kbootstrap.transport.forward import Address, tunnel
from kbootstrap.transport.timeouts import Timeouts

START_SECONDS = 30.0
"""To begin and to connect; on an idle machine it takes half a second."""
END_SECONDS = 5.0


@contextmanager
def tunnels_apart(host: Host, remotes: Sequence[Address], timeouts: Timeouts) -> Iterator[tuple[int, ...]]:
    """A port on the local loopback for each of `remotes`, which are addresses as the host sees them.

    Over a connection of its own, as the login, without root. Raises Unreachable. When this process dies, it ends too.
    """
    context = multiprocessing.get_context("spawn")  # a fork would have this one's locks, whoever holds them
    ours, theirs = context.Pipe()
    login = replace(host, labels={}, taints=(), variables={})  # the rest may be something that cannot be sent
    process = context.Process(target=_keep, args=(login, tuple(remotes), timeouts, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield _told(ours, host)
    finally:
        ours.close()
        process.join(END_SECONDS)
        process.kill()
        process.join()


@dataclass(frozen=True, slots=True)
class _Failed:
    message: str
    hint: str | None = None


def _told(pipe: Pipe, host: Host) -> tuple[int, ...]:
    """The ports. Raises what the other process could not do."""
    try:
        said = pipe.recv() if pipe.poll(START_SECONDS) else _Failed(f"no tunnels within {START_SECONDS:.0f} s")
    except EOFError:
        said = _Failed("the process for its tunnels has ended")
    if isinstance(said, _Failed):
        raise Unreachable(said.message, host=host.name, hint=said.hint)
    ports: tuple[int, ...] = said
    return ports


def _keep(host: Host, remotes: Sequence[Address], timeouts: Timeouts, pipe: Pipe) -> None:
    """The whole life of the process: it ends with the other end of the pipe."""
    from kbootstrap.transport.dial import Dialer  # noqa: PLC0415 - as in ssh.py

    os.setsid()  # Ctrl-C is for the process that started us
    go_first()
    dialer = Dialer(timeouts)
    with suppress(EOFError, OSError), ExitStack() as stack:
        try:
            line = dialer.open(host)
        except KbootstrapError as error:
            pipe.send(_Failed(error.message, error.hint))
            return
        stack.callback(dialer.close, line)
        pipe.send(tuple(stack.enter_context(tunnel(line.transport, remote)) for remote in remotes))
        pipe.recv()
