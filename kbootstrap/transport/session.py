"""The real Connection: commands, files and tunnels over one SSH connection. Opened by `ssh.connect`."""

import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tenacity

from kbootstrap.errors import CommandFailed, Unreachable
from kbootstrap.model.cluster import Host
from kbootstrap.transport.connection import COMMAND_TIMEOUT, Result
from kbootstrap.transport.dial import Dialer, Line
from kbootstrap.transport.forward import ReverseTunnels, tunnel
from kbootstrap.transport.known_hosts import HostKeyRefused
from kbootstrap.transport.process import CHUNK, Outcome, end_held, execute, start_held
from kbootstrap.transport.shell import Invocation, Shell
from kbootstrap.transport.sudo import root_shell

MAX_SESSIONS = 8
"""Commands at once on one connection. sshd's MaxSessions is 10, and it counts one for a moment after its end."""

TRANSFER_TIMEOUT = 900.0
"""Seconds that a large file may take."""

RECONNECT_PAUSE = 0.5
"""Seconds between attempts to reach a host that reboots."""

KILLED = -1
"""The exit code of a command that a signal ended."""


class SshConnection:
    """One host, over one SSH connection. May be used by several threads at once."""

    def __init__(self, host: Host, dialer: Dialer, sudo_password: str | None = None) -> None:
        self._host = host
        self._dialer = dialer
        self._password = sudo_password
        self._sessions = threading.BoundedSemaphore(MAX_SESSIONS)
        self._lock = threading.Lock()
        self._line: Line | None = None
        self._reverse: ReverseTunnels | None = None
        self._shell = Shell()

    def __repr__(self) -> str:
        return f"SshConnection({self.name})"

    @property
    def name(self) -> str:
        return self._host.name

    @property
    def scale(self) -> float:
        return self._dialer.timeouts.scale

    def open(self) -> None:
        """Connects, and proves that commands can be run as root. Raises Unreachable, InvalidInput."""
        self._line = self._dialer.open(self._host)
        try:
            self._shell = self._root_shell(self._line)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._dialer.close(line)

    def reconnect(self, *, timeout: float) -> None:
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_delay(timeout),
            wait=tenacity.wait_fixed(RECONNECT_PAUSE),
            # A changed key stays changed.
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, Unreachable) and not isinstance(error, HostKeyRefused)
            ),
            reraise=True,
        )
        self.close()
        attempts(self.open)

    def run(
        self,
        command: str,
        *,
        stdin: bytes | None = None,
        timeout: float = COMMAND_TIMEOUT,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        if stdin is None:
            return self._run(command, self._shell.command(command), (), timeout, on_line)
        invocation = self._shell.command_with_input(command, len(stdin))
        return self._run(command, invocation, (stdin,), timeout, on_line)

    def run_script(
        self,
        script: str,
        *,
        timeout: float = COMMAND_TIMEOUT,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        content = script.encode()
        title = f"a script of {len(script.splitlines())} lines"
        return self._run(title, self._shell.script(len(content)), (content,), timeout, on_line)

    @contextmanager
    def hold(self, command: str, *, timeout: float = COMMAND_TIMEOUT) -> Iterator[str]:
        line = self._open_line()
        with self._sessions:
            try:
                with self._named():
                    channel, answer = start_held(line.transport, self._shell.held(command), timeout)
            except TimeoutError as error:
                raise CommandFailed(f"printed nothing within {timeout:g} s", host=self.name, command=command) from error
            try:
                yield answer
            finally:
                end_held(channel)

    def put(self, content: bytes, path: str, *, mode: int = 0o600) -> None:
        self._write(path, (content,), len(content), mode, COMMAND_TIMEOUT)

    def put_file(self, source: str, path: str, *, mode: int = 0o644) -> None:
        try:
            with Path(source).open("rb") as file:
                size = Path(source).stat().st_size
                self._write(path, iter(lambda: file.read(CHUNK), b""), size, mode, TRANSFER_TIMEOUT)
        except OSError as error:
            raise CommandFailed(f"{source} cannot be read: {error.strerror}", host=self.name) from error

    def get(self, path: str) -> bytes:
        result = self.run(f"cat -- {shlex.quote(path)}", timeout=TRANSFER_TIMEOUT)
        result.require(f"{path} cannot be read")
        if result.truncated:
            raise CommandFailed(f"{path} is too big to be read into memory", host=self.name)
        return result.stdout

    @contextmanager
    def serve_locally(self, port: int) -> Iterator[int]:
        with self._named(), self._reverse_tunnels().serve(port) as remote_port:
            yield remote_port

    @contextmanager
    def tunnel(self, remote_host: str, remote_port: int) -> Iterator[int]:
        with tunnel(self._open_line().transport, (remote_host, remote_port)) as local_port:
            yield local_port

    def _reverse_tunnels(self) -> ReverseTunnels:
        line = self._open_line()
        with self._lock:
            if self._reverse is None or self._reverse.transport is not line.transport:
                self._reverse = ReverseTunnels(line.transport)
            return self._reverse

    def _write(self, path: str, feed: Iterable[bytes], size: int, mode: int, timeout: float) -> None:
        if not path.startswith("/"):
            raise ValueError(f"not an absolute path: {path}")
        result = self._run(f"write {path}", self._shell.write(path, size, mode), feed, timeout)
        result.require(f"{path} cannot be written")

    def _run(
        self,
        title: str,
        invocation: Invocation,
        payload: Iterable[bytes],
        timeout: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        begun = time.monotonic()
        line = self._open_line()
        outcome = self._execute(line, invocation, payload, timeout, on_line)
        if outcome.exit_code is None and not line.transport.is_active():
            raise Unreachable(
                "the connection was lost while a command ran",
                host=self.name,
                command=title,
                output=outcome.output or None,
                hint="is the host up? then run again: what was done is found and kept",
            )
        if outcome.timed_out:
            raise CommandFailed(
                f"did not end within {timeout:g} s and was stopped",
                host=self.name,
                command=title,
                output=outcome.output or None,
            )
        return Result(
            host=self.name,
            command=title,
            exit_code=KILLED if outcome.exit_code is None else outcome.exit_code,
            stdout=outcome.stdout,
            stderr=outcome.stderr,
            seconds=time.monotonic() - begun,
            truncated=outcome.truncated,
        )

    def _open_line(self) -> Line:
        line = self._line
        if line is None or not line.transport.is_active():
            raise Unreachable("the connection is closed or was lost", host=self.name)
        return line

    def _execute(
        self,
        line: Line,
        invocation: Invocation,
        payload: Iterable[bytes],
        timeout: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Outcome:
        with self._sessions, self._named():
            return execute(line.transport, invocation, payload, timeout, on_line)

    def _root_shell(self, line: Line) -> Shell:
        return root_shell(
            self.name,
            line.target.user,
            self._host.ssh.sudo,
            self._password,
            lambda invocation: self._execute(line, invocation, (), COMMAND_TIMEOUT),
        )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Puts the host's name into what the layers below, which do not know it, raise."""
        try:
            yield
        except Unreachable as error:
            error.host = error.host or self.name
            raise
