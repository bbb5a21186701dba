"""Who is let in, whom we trust, and what the user reads when it does not work."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kbootstrap.errors import InvalidInput, KbootstrapError, Unreachable
from kbootstrap.model.cluster import HostKeys
from kbootstrap.transport.connection import Connection
from kbootstrap.transport.known_hosts import HostKeyRefused
from kbootstrap.transport.ssh import connect, connect_all
from tests.unit.transport.conftest import QUICK, Server, free_port, make_key, refusal


def fingerprint(key: Path) -> str:
    listing = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True).stdout
    return listing.split()[1]


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """An ssh-agent; call it with a key to add."""
    sock = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
    while not _listens(sock):  # the socket is there before somebody listens on it
        time.sleep(0.01)

    def add(key: Path) -> None:
        subprocess.run(["ssh-add", "-q", key], check=True)

    yield add
    process.terminate()
    process.wait(5)


def _listens(sock: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(sock)) == 0


def works(connection: Connection) -> bool:
    with_result = connection.run("echo in").text == "in"
    connection.close()
    return with_result


def test_an_unknown_host_is_refused_with_its_fingerprint_and_the_way_to_accept_it(server: Server) -> None:
    server.known_hosts.unlink()
    error = refusal(server.host())
    assert isinstance(error, HostKeyRefused)
    assert (error.exit_code, error.host) == (4, "cp1")
    assert fingerprint(server.host_key) in error.message
    assert "accept-new" in (error.hint or "")
    command = (error.hint or "").partition("accept it with: ")[2].splitlines()[0]
    assert not server.known_hosts.exists()
    subprocess.run(["sh", "-c", command], check=True)
    assert works(connect(server.host(), timeouts=QUICK))


def test_accept_new_writes_a_first_key_down_and_refuses_another(server: Server) -> None:
    server.known_hosts.unlink()
    old = fingerprint(server.host_key)
    host = server.host(host_keys=HostKeys.ACCEPT_NEW)
    assert works(connect(host, timeouts=QUICK))
    assert server.known_hosts.stat().st_mode & 0o7777 == 0o600
    assert works(connect(server.host(), timeouts=QUICK))
    server.stop()
    server.make_host_key()
    server.start()
    for again in (host, server.host()):
        error = refusal(again)
        assert isinstance(error, HostKeyRefused)
        assert old in error.message
        assert fingerprint(server.host_key) in error.message
        assert "ssh-keygen -R" in (error.hint or "")
    command = (error.hint or "").partition("forget the old key with: ")[2].splitlines()[0]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert works(connect(host, timeouts=QUICK))


@pytest.mark.parametrize("known", ["rsa", "ecdsa", "ed25519"])
def test_a_host_with_several_keys_shows_the_one_that_is_known(make_server: Callable[..., Server], known: str) -> None:
    server = make_server()
    lines = {kind: server.make_host_key(kind) for kind in ("rsa", "ecdsa", "ed25519")}
    server.stop()
    server.start()
    server.known_hosts.write_text(lines[known])
    assert works(connect(server.host(), timeouts=QUICK))


def test_a_host_that_hides_its_known_key_behind_a_new_type_has_changed(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.known_hosts.write_text(server.make_host_key("rsa"))
    assert isinstance(refusal(server.host(host_keys=HostKeys.ACCEPT_NEW)), HostKeyRefused)


def test_hashed_entries_are_known(server: Server) -> None:
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", server.known_hosts], check=True, capture_output=True)
    assert "127.0.0.1" not in server.known_hosts.read_text()
    assert works(connect(server.host(), timeouts=QUICK))


def test_a_revoked_key_is_refused(server: Server) -> None:
    server.known_hosts.write_text(server.known_hosts.read_text() + "@revoked " + server.known_hosts.read_text())
    assert "revoked" in refusal(server.host()).message


def test_a_wrong_key_is_refused_with_what_was_tried(server: Server, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    error = refusal(server.host(identity_file=tmp_path / "other"))
    assert "refused the login" in error.message
    assert str(tmp_path / "other") in (error.output or "")


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such file"), ("junk", "not a private key"), ("locked", "ssh-add")]
)
def test_a_key_that_cannot_be_used_is_named(server: Server, tmp_path: Path, content: str | None, reason: str) -> None:
    key = tmp_path / "key"
    if content == "locked":
        make_key(key, passphrase="a passphrase")
    elif content:
        key.write_text(content)
    error = refusal(server.host(identity_file=key))
    assert f"{key}: " in (error.output or "")
    assert reason in (error.output or "")


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_keys_of_every_kind_are_accepted(server: Server, kind: str) -> None:
    server.user_key.unlink()
    make_key(server.user_key, kind)
    (server.directory / "authorized_keys").write_text(server.user_key.with_suffix(".pub").read_text())
    assert works(connect(server.host(), timeouts=QUICK))


def test_the_agent_is_asked_for_a_key_that_is_locked_and_not_for_others(
    make_server: Callable[..., Server], agent: Callable[[Path], None], tmp_path: Path
) -> None:
    server = make_server(MaxAuthTries="2")
    for number in range(4):
        make_key(tmp_path / f"other{number}")
        agent(tmp_path / f"other{number}")
    agent(server.user_key)
    server.user_key.write_text((tmp_path / "other0").read_text())
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "locked", "-f", server.user_key], check=True, capture_output=True)
    assert works(connect(server.host(agent=True), timeouts=QUICK))
    assert "refused" in refusal(server.host(agent=False)).message


def test_the_agent_is_enough(server: Server, agent: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    agent(server.user_key)
    monkeypatch.setenv("HOME", str(server.directory))
    host = server.host(identity_file=None, agent=True)
    assert works(connect(host, timeouts=QUICK))


def test_a_closed_port_is_said(server: Server) -> None:
    error = refusal(replace(server.host(), ssh=replace(server.host().ssh, port=free_port())))
    assert "refuses connections" in error.message
    assert "is sshd running" in (error.hint or "")


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-half\r\n"])
def test_something_that_does_not_speak_ssh_is_said_in_time(server: Server, greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        accepted: list[socket.socket] = []

        def greet() -> None:
            accepted.append(silent.accept()[0])
            accepted[0].sendall(greeting)

        threading.Thread(target=greet, daemon=True).start()
        begun = time.monotonic()
        host = server.host()
        error = refusal(replace(host, ssh=replace(host.ssh, port=silent.getsockname()[1])))
        assert time.monotonic() - begun < 5
        assert "SSH" in error.message
        assert error.hint
        accepted[0].close()


def test_a_name_that_does_not_exist_is_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "this is no name" in refusal(replace(server.host(), ssh_address="two..dots")).message

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "name is unknown" in refusal(replace(server.host(), ssh_address="nobody.test")).message


def test_an_address_that_does_not_answer_is_given_up(server: Server) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        begun = time.monotonic()
        error = refusal(server.host(port=full.getsockname()[1]))
        assert "does not answer within 2 s" in error.message
        assert time.monotonic() - begun < 4


def test_many_hosts_at_once_each_get_their_answer_in_order(server: Server) -> None:
    bad = server.host("bad", port=free_port())
    connected = connect_all([server.host("a"), bad, *(server.host(f"h{n}") for n in range(20))], timeouts=QUICK)
    assert list(connected) == ["a", "bad", *(f"h{n}" for n in range(20))]
    assert [name for name, outcome in connected.items() if isinstance(outcome, KbootstrapError)] == ["bad"]
    for outcome in connected.values():
        assert isinstance(outcome, KbootstrapError) or works(outcome)


def test_failures_leave_no_threads_or_files_behind(server: Server) -> None:
    refusal(server.host(port=free_port()))
    threads, files = threading.active_count(), _open_files()
    server.known_hosts.unlink()
    for _ in range(5):
        refusal(server.host())
    time.sleep(0.3)
    assert threading.active_count() <= threads
    assert _open_files() <= files


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class TestJump:
    """Through other servers; each hop's key is verified as well."""

    @pytest.fixture
    def inner(self, make_server: Callable[..., Server], server: Server) -> Server:
        inner = make_server()
        inner.known_hosts.write_text(inner.known_hosts.read_text() + server.known_hosts.read_text())
        (server.directory / "authorized_keys").write_text(inner.user_key.with_suffix(".pub").read_text())
        return inner

    def test_through_two_hops(self, server: Server, inner: Server) -> None:
        user = server.host().ssh.user
        host = inner.host(jump=(f"{user}@127.0.0.1:{server.port}", f"127.0.0.1:{inner.port}"))
        connection = connect(host, timeouts=QUICK)
        origin = connection.run("echo $SSH_CONNECTION").text.split()
        assert int(origin[3]) == inner.port
        assert connection.run("cat", stdin=bytes(3_000_000)).stdout == bytes(3_000_000)
        connection.close()

    def test_many_hosts_share_one_connection_to_the_jump_host(self, server: Server, inner: Server) -> None:
        hosts = [inner.host(f"h{n}", jump=(f"127.0.0.1:{server.port}",)) for n in range(20)]
        connected = connect_all(hosts, timeouts=QUICK)
        assert all(not isinstance(outcome, KbootstrapError) for outcome in connected.values())
        assert server.log.count("Accepted publickey") == 1
        assert inner.log.count("Accepted publickey") == 20
        first, *others = [outcome for outcome in connected.values() if not isinstance(outcome, KbootstrapError)]
        for other in others:
            other.close()
        assert works(first)

    def test_the_jump_hosts_key_is_verified(self, server: Server, inner: Server) -> None:
        inner.known_hosts.write_text(inner.known_hosts.read_text().splitlines()[0] + "\n")
        error = refusal(inner.host(jump=(f"127.0.0.1:{server.port}",)))
        assert isinstance(error, HostKeyRefused)
        assert "jump host" in error.message
        assert f":{server.port}" in error.message

    def test_the_hosts_key_is_verified_through_the_jump_host(self, server: Server, inner: Server) -> None:
        inner.known_hosts.write_text(inner.known_hosts.read_text().splitlines()[1] + "\n")
        error = refusal(inner.host(jump=(f"127.0.0.1:{server.port}",)))
        assert isinstance(error, HostKeyRefused)
        assert "jump host" not in error.message

    def test_what_the_jump_host_cannot_reach_is_said(self, server: Server, inner: Server) -> None:
        error = refusal(inner.host(port=free_port(), jump=(f"127.0.0.1:{server.port}",)))
        assert "cannot be reached from the jump host" in error.message

    def test_a_dead_jump_host_is_said_once_for_all(self, inner: Server) -> None:
        hosts = [inner.host(f"h{n}", jump=(f"127.0.0.1:{free_port()}",)) for n in range(3)]
        for name, outcome in connect_all(hosts, timeouts=QUICK).items():
            assert isinstance(outcome, Unreachable)
            assert outcome.host == name
            assert "jump host" in outcome.message

    def test_reconnects_through_a_jump_host_that_was_restarted(self, server: Server, inner: Server) -> None:
        connection = connect(inner.host(jump=(f"127.0.0.1:{server.port}",)), timeouts=QUICK)
        subprocess.run(["pkill", "-P", str(server.process.pid)], check=True)  # type: ignore[union-attr]
        connection.reconnect(timeout=5)
        assert works(connection)


class TestConfiguration:
    """The user's OpenSSH configuration."""

    def test_is_honoured(self, server: Server, tmp_path: Path) -> None:
        config = tmp_path / "config"
        config.write_text(
            f"Host alias\n HostName 127.0.0.1\n Port {server.port}\n User {server.host().ssh.user}\n"
            f" IdentityFile {server.user_key}\n UserKnownHostsFile {server.known_hosts}\n"
        )
        host = server.host(port=22, user="root", identity_file=None, known_hosts=None, config_file=config)
        assert works(connect(replace(host, ssh_address="alias"), timeouts=QUICK))

    def test_proxy_jump_is_honoured(self, server: Server, tmp_path: Path) -> None:
        config = tmp_path / "config"
        config.write_text(f"Host 127.0.0.1\n ProxyJump 127.0.0.1:{server.port}\n")
        assert works(connect(server.host(config_file=config), timeouts=QUICK))
        assert "direct-tcpip" in server.log

    def test_proxy_command_is_honoured(self, server: Server, tmp_path: Path) -> None:
        proxy = tmp_path / "proxy.py"
        proxy.write_text(
            "import os, socket, sys, threading\n"
            "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
            "def up():\n"
            "    while chunk := os.read(0, 65536): s.sendall(chunk)\n"
            "threading.Thread(target=up, daemon=True).start()\n"
            "while chunk := s.recv(65536): os.write(1, chunk)\n"
        )
        config = tmp_path / "config"
        config.write_text(f"Host 127.0.0.1\n ProxyCommand {sys.executable} {proxy} %h %p\n")
        assert works(connect(server.host(config_file=config), timeouts=QUICK))
        config.write_text("Host 127.0.0.1\n ProxyCommand false\n")
        assert "ProxyCommand" in refusal(server.host(config_file=config)).message

    def test_that_cannot_be_read_is_an_error(self, server: Server, tmp_path: Path) -> None:
        config = tmp_path / "config"
        assert isinstance(refusal(server.host(config_file=config)), InvalidInput)
        config.write_text("Host x\n  nonsense\n")
        assert isinstance(refusal(server.host(config_file=config)), InvalidInput)
