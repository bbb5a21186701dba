"""TCP forwarding over a connection: `ssh -L` and `ssh -R`, with threads that end with it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from paramiko import Channel, SSHException, Transport

from kbootstrap.errors import Unreachable
from kbootstrap.transport.channel import ordered

LOOPBACK = "127.0.0.1"

CHUNK = 256 * 1024
"""Bytes moved at once."""

CONNECT_SECONDS = 10.0
"""For a connection to the local end of a forwarded port."""

Address = tuple[str, int]


class Pipes:
    """The forwarded connections that are open: two threads each, one per direction."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[tuple[socket.socket, Channel]] = set()
        self._closed = False

    def join(self, local: socket.socket, channel: Channel) -> None:
        """Moves bytes both ways until both sides have ended."""
        pair = (local, channel)
        with self._lock:
            if self._closed:
                _end(pair)
                return
            self._open.add(pair)
        outward = threading.Thread(target=_move, args=(local.recv, channel.sendall, channel), daemon=True)
        outward.start()
        _move(channel.recv, local.sendall, local)
        outward.join()
        with self._lock:
            self._open.discard(pair)
        _end(pair)

    def close(self) -> None:
        """Ends all of them."""
        with self._lock:
            self._closed = True
            pairs = list(self._open)
        for pair in pairs:
            _end(pair)


def _move(read: Callable[[int], bytes], write: Callable[[bytes], None], target: socket.socket | Channel) -> None:
    """One direction; passes on the end of the stream, so that the other direction may go on."""
    with suppress(OSError, EOFError, SSHException):
        while chunk := read(CHUNK):
            write(chunk)
    with suppress(OSError, EOFError, SSHException):
        target.shutdown(socket.SHUT_WR)


def _end(pair: tuple[socket.socket, Channel]) -> None:
    local, channel = pair
    with suppress(OSError):
        # Wakes the thread that reads it; closing alone does not.
        local.shutdown(socket.SHUT_RDWR)
    local.close()
    _close(channel)


def _close(channel: Channel) -> None:
    """Also when the connection is lost already."""
    with suppress(OSError, EOFError, SSHException):
        channel.close()


@contextmanager
def tunnel(transport: Transport, remote: Address) -> Iterator[int]:
    """A port on the local loopback that leads to `remote` as the host sees it."""
    pipes = Pipes()
    with socket.create_server((LOOPBACK, 0), backlog=128) as listener:
        thread = threading.Thread(target=_accept, args=(listener, transport, remote, pipes), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            pipes.close()


def _accept(listener: socket.socket, transport: Transport, remote: Address, pipes: Pipes) -> None:
    while True:
        try:
            local, origin = listener.accept()
        except OSError:
            return
        threading.Thread(target=_outward, args=(local, origin, transport, remote, pipes), daemon=True).start()


def _outward(local: socket.socket, origin: Address, transport: Transport, remote: Address, pipes: Pipes) -> None:
    try:
        local.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        channel = transport.open_channel("direct-tcpip", remote, origin)
    except (SSHException, EOFError, OSError):
        # Refused at the other end: what is connected here sees its connection end.
        local.close()
        return
    pipes.join(local, channel)


class ReverseTunnels:
    """Ports on the host's loopback that lead to local ports. paramiko has one handler for all of a connection."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._lock = threading.Lock()
        self._served: dict[int, tuple[int, Pipes]] = {}

    @contextmanager
    def serve(self, local_port: int) -> Iterator[int]:
        """Opens a port on the host, which chooses its number. Raises Unreachable when sshd does not allow it."""
        pipes = Pipes()
        with self._lock:
            try:
                port = self.transport.request_port_forward(LOOPBACK, 0, self._arrived)
            except (SSHException, EOFError, OSError) as error:
                raise Unreachable(
                    f"its sshd does not open a port for the reverse tunnel: {error}",
                    hint="allow it in its sshd_config: AllowTcpForwarding yes (or remote)",
                ) from error
            self._served[port] = (local_port, pipes)
        try:
            yield port
        finally:
            self._stop(port)
            pipes.close()

    def _stop(self, port: int) -> None:
        with self._lock:
            del self._served[port]
            with suppress(SSHException, EOFError, OSError):
                self.transport.global_request("cancel-tcpip-forward", (LOOPBACK, port), wait=True)

    def _arrived(self, channel: Channel, _origin: Address, server: Address) -> None:
        """Called by the connection's own thread, which must not be kept."""
        channel = ordered(channel)
        served = self._served.get(server[1])
        if served is None:
            _close(channel)
        else:
            threading.Thread(target=_inward, args=(channel, *served), daemon=True).start()


def _inward(channel: Channel, local_port: int, pipes: Pipes) -> None:
    try:
        local = socket.create_connection((LOOPBACK, local_port), CONNECT_SECONDS)
        local.settimeout(None)
        local.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        _close(channel)
        return
    pipes.join(local, channel)
