"""What the rest of the tool knows of a connection. `ssh.py` has the real one, the tests a fake one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from kbootstrap.errors import CommandFailed

COMMAND_TIMEOUT = 120.0
"""Seconds that a command may take unless its caller says otherwise."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended. Output is captured whole, up to a bound (see `truncated`)."""

    host: str
    command: str
    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    truncated: bool = False

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    @property
    def text(self) -> str:
        """Standard output, decoded and stripped."""
        return self.stdout.decode(errors="replace").strip()

    @property
    def errors(self) -> str:
        """Standard error, decoded and stripped."""
        return self.stderr.decode(errors="replace").strip()

    def require(self, message: str | None = None, *, hint: str | None = None) -> "Result":
        """Itself, or CommandFailed with the output when the command failed."""
        if self.ok:
            return self
        raise CommandFailed(
            message or f"command ended with exit code {self.exit_code}",
            host=self.host,
            command=self.command,
            output="\n".join(part for part in (self.text, self.errors) if part),
            hint=hint,
        )


class Connection(Protocol):
    """A live connection to one host. Commands run as root (through sudo where the login is not root).

    Raises Unreachable when the host cannot be reached or logged in to, or the connection is lost.
    """

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        ...

    @property
    def scale(self) -> float:
        """The factor for deadlines on this host; `timeout`, wherever it is said, has it already."""
        ...

    def run(
        self,
        command: str,
        *,
        stdin: bytes | None = None,
        timeout: float = COMMAND_TIMEOUT,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        """Runs a shell command line as root and returns its result, whatever the exit code.

        `stdin` carries what must not appear in a process list. `on_line` sees standard output line by line
        as it arrives. Raises CommandFailed after `timeout` seconds (the remote process is ended).
        """
        ...

    def run_script(
        self,
        script: str,
        *,
        timeout: float = COMMAND_TIMEOUT,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        """Runs a POSIX shell script that is sent through stdin, so its text never shows in a process list."""
        ...

    def hold(self, command: str, *, timeout: float = COMMAND_TIMEOUT) -> AbstractContextManager[str]:
        """Starts a command as root, yields its first line of output, and keeps it running while open.

        Its stdin stays open until the context ends, and is closed by the host when this machine or the
        connection dies: a lock held by `flock … cat` therefore never outlives its owner. `timeout` bounds the
        wait for the first line; an empty line means that the command ended without output.
        """
        ...

    def put(self, content: bytes, path: str, *, mode: int = 0o600) -> None:
        """Writes a file atomically, owned by root."""
        ...

    def put_file(self, source: str, path: str, *, mode: int = 0o644) -> None:
        """Sends a (large) local file to `path`, atomically, in a bounded amount of memory."""
        ...

    def get(self, path: str) -> bytes:
        """A file's content; raises CommandFailed when it cannot be read, or has more than 64 MiB."""
        ...

    def serve_locally(self, port: int) -> AbstractContextManager[int]:
        """While open, connections to the yielded port on the host's loopback reach local `port` (ssh -R)."""
        ...

    def tunnel(self, remote_host: str, remote_port: int) -> AbstractContextManager[int]:
        """While open, connections to the yielded local loopback port reach the remote address (ssh -L)."""
        ...

    def reconnect(self, *, timeout: float) -> None:
        """Opens the connection anew, for instance after a reboot; tries until `timeout` seconds have passed.

        Raises Unreachable with the last attempt's reason.
        """
        ...

    def close(self) -> None:
        """Ends the connection; may be called twice."""
        ...


class Connector(Protocol):
    """Opens connections; the runner asks it for each host once."""

    def __call__(self, host: str) -> Connection: ...
