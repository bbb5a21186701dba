"""Stand-ins for what tests must not touch. They know only what the test declared, and reject the rest."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kbootstrap.errors import CommandFailed
from kbootstrap.transport.connection import COMMAND_TIMEOUT, Result


class UndeclaredCommand(AssertionError):
    """The code under test did something on a host that its test does not know of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a declared command ends; `error` is raised instead when set."""

    stdout: bytes = b""
    exit_code: int = 0
    stderr: bytes = b""
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """Something that was run: a command with its input, or a script."""

    command: str
    stdin: bytes | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was put on the host."""

    content: bytes
    mode: int


@dataclass(slots=True)
class _Declared:
    command: str | re.Pattern[str]
    answers: list[Answer]

    def matches(self, text: str) -> bool:
        return text == self.command if isinstance(self.command, str) else bool(self.command.fullmatch(text))

    def next(self) -> Answer:
        """In the order declared; the last one again and again."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass(slots=True)
class FakeConnection:
    """A Connection that answers what it was told to, and records what was asked.

    >>> host = FakeConnection("cp1")
    >>> host.expect("uname -r", "6.1.0")
    >>> host.expect(re.compile("systemctl restart .*"), exit_code=1, stderr="no such unit")
    >>> host.files["/etc/hostname"] = b"cp1"

    The first declaration that matches answers. `ran` and `written` say what was run, and which files were put.
    """

    name: str = "cp1"
    scale: float = 1.0
    ran: list[Ran] = field(default_factory=list)
    written: dict[str, Written] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    ports: dict[int | tuple[str, int], int] = field(default_factory=dict)
    """What `serve_locally(port)` and `tunnel(host, port)` yield, by their arguments."""
    closed: bool = False
    reconnections: int = 0
    held: list[str] = field(default_factory=list)
    """The commands that are held open now."""
    _declared: list[_Declared] = field(default_factory=list)

    def expect(
        self,
        command: str | re.Pattern[str],
        stdout: str | bytes = b"",
        *,
        exit_code: int = 0,
        stderr: str | bytes = b"",
        error: Exception | None = None,
    ) -> None:
        """Declares a command or script: its exact text, or a pattern that the whole text matches.

        Declared again, it gives the next answer the next time; the last answer stays.
        """
        answer = Answer(_bytes(stdout), exit_code, _bytes(stderr), error)
        for declared in self._declared:
            if declared.command == command:
                declared.answers.append(answer)
                return
        self._declared.append(_Declared(command, [answer]))

    @property
    def commands(self) -> list[str]:
        """The text of everything that was run."""
        return [ran.command for ran in self.ran]

    def run(
        self,
        command: str,
        *,
        stdin: bytes | None = None,
        timeout: float = COMMAND_TIMEOUT,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        return self._answer(command, stdin, on_line)

    def run_script(
        self,
        script: str,
        *,
        timeout: float = COMMAND_TIMEOUT,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        return self._answer(script, None, on_line)

    @contextmanager
    def hold(self, command: str, *, timeout: float = COMMAND_TIMEOUT) -> Iterator[str]:
        answer = self._answer(command, None, None)
        self.held.append(command)
        try:
            yield answer.stdout.decode().partition("\n")[0]
        finally:
            self.held.remove(command)

    def put(self, content: bytes, path: str, *, mode: int = 0o600) -> None:
        self.written[path] = Written(content, mode)
        self.files[path] = content

    def put_file(self, source: str, path: str, *, mode: int = 0o644) -> None:
        self.put(Path(source).read_bytes(), path, mode=mode)

    def get(self, path: str) -> bytes:
        if path not in self.files:
            raise CommandFailed(f"{path} cannot be read", host=self.name, output="No such file or directory")
        return self.files[path]

    def serve_locally(self, port: int) -> AbstractContextManager[int]:
        return self._port(port)

    def tunnel(self, remote_host: str, remote_port: int) -> AbstractContextManager[int]:
        return self._port((remote_host, remote_port))

    def reconnect(self, *, timeout: float) -> None:
        self.closed = False
        self.reconnections += 1

    def close(self) -> None:
        self.closed = True

    @contextmanager
    def _port(self, key: int | tuple[str, int]) -> Iterator[int]:
        if key not in self.ports:
            raise UndeclaredCommand(f"{self.name}: nobody declared a tunnel for {key}")
        yield self.ports[key]

    def _answer(self, command: str, stdin: bytes | None, on_line: Callable[[str], None] | None) -> Result:
        if self.closed:
            raise UndeclaredCommand(f"{self.name}: run on a closed connection: {command}")
        self.ran.append(Ran(command, stdin))
        for declared in self._declared:
            if declared.matches(command):
                answer = declared.next()
                break
        else:
            raise UndeclaredCommand(f"{self.name}: nobody declared: {command}")
        if answer.error is not None:
            raise answer.error
        if on_line:
            for line in answer.stdout.decode(errors="replace").splitlines():
                on_line(line)
        return Result(self.name, command, answer.exit_code, answer.stdout, answer.stderr, seconds=0.0)


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
