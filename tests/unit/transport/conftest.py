"""A real OpenSSH server for each test that asks for one: an ordinary process on a loopback port, with its own keys."""

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kbootstrap.errors import KbootstrapError
from kbootstrap.model.cluster import Host, Role, Ssh
from kbootstrap.transport.connection import Connection
from kbootstrap.transport.ssh import connect
from kbootstrap.transport.timeouts import Timeouts

QUICK = Timeouts(connect=2, banner=2, auth=5, channel=5)


@dataclass
class Server:
    """An sshd that knows the key `user_key`; `known_hosts` lists its host key."""

    directory: Path
    port: int
    user_key: Path
    known_hosts: Path
    process: subprocess.Popen[bytes] | None = None
    options: dict[str, str] = field(default_factory=dict)
    wrapper: Sequence[str | Path] = ()
    """What sshd is started by."""
    """What sshd is started by."""

    @property
    def host_key(self) -> Path:
        return self.directory / "host_ed25519"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def start(self) -> None:
        settings = {
            "ListenAddress": "127.0.0.1",
            "Port": str(self.port),
            "AuthorizedKeysFile": str(self.directory / "authorized_keys"),
            "StrictModes": "no",
            "UsePAM": "no",
            "PidFile": "none",
            "PermitRootLogin": "yes",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "LogLevel": "DEBUG1",
            "MaxStartups": "200",
            # Or Debian's bash reads the developer's ~/.bashrc for every command.
            "SetEnv": "SHLVL=1",
        } | self.options
        lines = [f"{name} {value}" for name, value in settings.items()]
        lines += [f"HostKey {key.with_suffix('')}" for key in self.directory.glob("host_*.pub")]
        (self.directory / "config").write_text("\n".join(lines) + "\n")
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        self.process = subprocess.Popen(
            [*self.wrapper, sshd, "-D", "-f", self.directory / "config", "-E", self.directory / "log"]
        )
        wait_for_port(self.port)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(5)

    def make_host_key(self, kind: str = "ed25519") -> str:
        """A new host key; returns its line for known_hosts."""
        file = self.directory / f"host_{kind}"
        for old in (file, file.with_suffix(".pub")):
            old.unlink(missing_ok=True)
        make_key(file, kind)
        name, blob, *_ = file.with_suffix(".pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {name} {blob}\n"

    def host(self, name: str = "cp1", **ssh: object) -> Host:
        settings = Ssh(
            user=getpass.getuser(),
            port=self.port,
            identity_file=self.user_key,
            agent=False,
            known_hosts=self.known_hosts,
            config_file=Path("/dev/null"),
        )
        return Host(
            name,
            IPv4Address("127.0.0.1"),
            frozenset({Role.WORKER}),
            ssh=replace(settings, **ssh),  # type: ignore[arg-type]
        )


def make_key(file: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", file], check=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for_port(port: int, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers with sshd options of the test's choice."""
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    started: list[Server] = []

    def make(wrapper: Sequence[str | Path] = (), **options: str) -> Server:
        directory = tmp_path / f"sshd{len(started)}"
        directory.mkdir(mode=0o700)
        server = Server(
            directory, free_port(), directory / "user_key", directory / "known_hosts", options=options, wrapper=wrapper
        )
        make_key(server.user_key)
        shutil.copy(server.user_key.with_suffix(".pub"), directory / "authorized_keys")
        server.known_hosts.write_text(server.make_host_key())
        server.start()
        started.append(server)
        return server

    yield make
    for server in started:
        server.stop()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server()


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    opened = connect(server.host(), timeouts=QUICK)
    yield opened
    opened.close()


def refusal(host: Host, **options: object) -> KbootstrapError:
    """The error that connecting to `host` ends with."""
    with pytest.raises(KbootstrapError) as caught:
        connect(host, timeouts=QUICK, **options).close()  # type: ignore[arg-type]
    return caught.value
