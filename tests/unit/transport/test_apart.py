"""Tunnels that a process of its own keeps."""

import socket
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import pytest

from kbootstrap.errors import Unreachable
from kbootstrap.transport.apart import tunnels_apart
from tests.unit.transport.conftest import QUICK, Server
from tests.unit.transport.test_forward import echo_server, exchange


def test_each_remote_has_a_port_and_all_end_together(make_server: Callable[..., Server]) -> None:
    host = replace(make_server().host(), labels=MappingProxyType({"disk": "fast"}))
    with echo_server() as one, echo_server() as other:
        with tunnels_apart(host, [("127.0.0.1", one), ("127.0.0.1", other)], QUICK) as ways:
            assert [exchange(way, b"to and fro" * 1000) for way in ways] == [b"to and fro" * 1000] * 2
        for way in ways:
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", way), 1)


def test_a_host_that_does_not_let_us_in_is_told(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.stop()
    with pytest.raises(Unreachable) as caught, tunnels_apart(server.host(), [("127.0.0.1", 1)], QUICK):
        pass
    assert caught.value.host == "cp1"
    assert "refuses connections" in caught.value.message
