"""Tunnels in both directions."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from kbootstrap.errors import Unreachable
from kbootstrap.transport.connection import Connection
from kbootstrap.transport.ssh import connect
from tests.unit.transport.conftest import QUICK, Server, free_port

BIG = bytes(range(256)) * 40_000


@contextmanager
def echo_server() -> Iterator[int]:
    """Answers with what it has read to the end: a half-closed connection has to stay open the other way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(client,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def answer(client: socket.socket) -> None:
    with client:
        client.sendall(read_all(client))


def read_all(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def exchange(port: int, content: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.settimeout(10)
        sock.sendall(content)
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


@contextmanager
def forwarded(connection: Connection, direction: str, port: int) -> Iterator[int]:
    """Both ends are on this machine, so the two directions look alike."""
    opened = connection.serve_locally(port) if direction == "reverse" else connection.tunnel("127.0.0.1", port)
    with opened as way_in:
        yield way_in


both_ways = pytest.mark.parametrize("direction", ["reverse", "direct"])


@both_ways
@pytest.mark.parametrize("content", [b"", b"x", BIG])
def test_carries_bytes_both_ways_to_the_end(connection: Connection, direction: str, content: bytes) -> None:
    with echo_server() as port, forwarded(connection, direction, port) as way_in:
        assert exchange(way_in, content) == content


@both_ways
def test_carries_many_connections_at_once(connection: Connection, direction: str) -> None:
    with echo_server() as port, forwarded(connection, direction, port) as way_in, ThreadPoolExecutor(20) as pool:
        contents = [b"%d" % n * 10_000 for n in range(40)]
        assert list(pool.map(lambda content: exchange(way_in, content), contents)) == contents
        assert connection.run("true").ok


@both_ways
def test_ends_with_its_context(connection: Connection, direction: str) -> None:
    threads = threading.active_count()
    with echo_server() as port, forwarded(connection, direction, port) as way_in:
        lingering = socket.create_connection(("127.0.0.1", way_in), 5)
        lingering.sendall(b"half a request")
        time.sleep(0.1)
    lingering.settimeout(5)
    assert lingering.recv(1) == b""
    lingering.close()
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", way_in), 1) as late:
        late.settimeout(1)
        if late.recv(1) == b"":
            raise ConnectionResetError
    deadline = time.monotonic() + 2
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= threads


@both_ways
def test_where_nobody_listens_the_connection_ends(connection: Connection, direction: str) -> None:
    with forwarded(connection, direction, free_port()) as way_in:
        assert exchange(way_in, b"") == b""


def test_several_ports_do_not_mix(connection: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        first, second = one.getsockname()[1], two.getsockname()[1]
        with connection.serve_locally(first) as remote_first:
            with connection.serve_locally(second) as remote_second:
                assert remote_first != remote_second
                with socket.create_connection(("127.0.0.1", remote_second)):
                    two.settimeout(2)
                    two.accept()[0].close()
            with socket.create_connection(("127.0.0.1", remote_first)):
                one.settimeout(2)
                one.accept()[0].close()


def test_a_server_that_allows_no_forwarding_is_said(make_server: Callable[..., Server]) -> None:
    connection = connect(make_server(AllowTcpForwarding="no").host(), timeouts=QUICK)
    with pytest.raises(Unreachable, match="reverse tunnel") as caught:
        connection.serve_locally(free_port()).__enter__()
    assert (caught.value.host, "AllowTcpForwarding" in (caught.value.hint or "")) == ("cp1", True)
    connection.close()


@both_ways
def test_closing_the_connection_ends_its_tunnels(server: Server, direction: str) -> None:
    connection = connect(server.host(), timeouts=QUICK)
    with echo_server() as port, forwarded(connection, direction, port) as way_in:
        lingering = socket.create_connection(("127.0.0.1", way_in), 5)
        time.sleep(0.1)
        connection.close()
        lingering.settimeout(5)
        assert lingering.recv(1) == b""
        lingering.close()
