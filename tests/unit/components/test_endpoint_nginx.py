"""`kube-endpoint` with a real nginx: a planned removal costs nobody a connection, and holds once it has returned."""

import os
import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kbootstrap.components.nginx import NginxConfig
from kbootstrap.render.renderer import render
from tests.unit.components.endpoint_world import World, until

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
pytestmark = pytest.mark.skipif(
    NGINX is None or not STREAM.exists(), reason="nginx with its stream module is not installed"
)

A, B, C = "127.18.0.11", "127.18.0.12", "127.18.0.13"
LISTEN = "127.18.0.100"


def serve(address: str, stop: threading.Event) -> tuple[int, socket.socket]:
    """Says its address to everybody who connects; then it waits for the other side to go."""
    listener = socket.create_server((address, 0))

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(address.encode())
            connection.recv(1)

    def accept() -> None:
        with suppress(OSError):
            while not stop.is_set():
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1], listener


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[tuple[World, int]]:
    """A proxy in front of three servers, and its port."""
    assert NGINX is not None
    stop = threading.Event()
    served = {address: serve(address, stop) for address in (A, B, C)}
    with socket.create_server((LISTEN, 0)) as free, socket.create_server((LISTEN, 0)) as other:
        port, alive = free.getsockname()[1], other.getsockname()[1]
    world = World(tmp_path, addresses=(A, B, C), nginx=(NGINX, "-c", f"{tmp_path}/nginx.conf"))
    lines = [f"server {address}:{own} max_fails=1 fail_timeout=2s;" for address, (own, _) in served.items()]
    world.write("servers", "\n".join(lines) + "\n")
    config = NginxConfig((f"{LISTEN}:{port}",), f"{LISTEN}:{alive}", 1024, 512, module=str(STREAM))
    text = render(
        "nginx/nginx.conf.j2", replace(config, runtime=world.path("."), list=world.path("run/apiservers.conf"))
    )
    world.write("nginx.conf", text.replace(b"nginx.pid", b"pid"))
    assert world.run("list").returncode == 0
    world.running.append(subprocess.Popen([NGINX, "-c", f"{tmp_path}/nginx.conf", "-g", "daemon off;"], text=True))
    until(lambda: says(port) != "")
    yield world, port
    world.stop()
    stop.set()
    for _, listener in served.values():
        listener.close()


def connected(port: int) -> socket.socket:
    return socket.create_connection((LISTEN, port), timeout=5)


def says(port: int) -> str:
    """Who answers a new connection."""
    with suppress(OSError), connected(port) as connection:
        return connection.recv(64).decode()
    return ""


def test_what_is_out_gets_no_connection_once_out_has_returned(proxied: tuple[World, int]) -> None:
    world, port = proxied
    assert set(Counter(says(port) for _ in range(30))) == {A, B, C}
    with connected(port) as kept:  # holds an old worker
        assert kept.recv(64)
        done = world.run("out", B, "60")
        assert (done.returncode, done.stderr) == (0, "")
        assert set(Counter(says(port) for _ in range(60))) == {A, C}
        kept.setblocking(False)
        with pytest.raises(BlockingIOError):  # still open
            kept.recv(1)
    assert world.run("in", B, "10").returncode == 0
    assert set(Counter(says(port) for _ in range(60))) == {A, B, C}


def test_no_connection_fails_meanwhile(proxied: tuple[World, int]) -> None:
    world, port = proxied
    stop, answers = threading.Event(), Counter[str]()

    def ask() -> None:
        while not stop.is_set():
            answers[says(port)] += 1

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            assert world.run("out", B, "60").returncode == 0
            assert world.run("in", B, "10").returncode == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {A, B, C}
