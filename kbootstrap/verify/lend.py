"""Connections lent to other processes.

A test process has neither connections nor logins: it asks this process, through a pipe, to run a command on the one
connection there is to a host.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from threading import Lock
from typing import Protocol

from kbootstrap.errors import CommandFailed, KbootstrapError, Unreachable
from kbootstrap.transport.connection import COMMAND_TIMEOUT, Connection, Result


class Remote(Protocol):
    """The part of a Connection that tests use."""

    @property
    def name(self) -> str: ...

    def run(self, command: str, *, timeout: float = COMMAND_TIMEOUT) -> Result: ...

    def run_script(self, script: str, *, timeout: float = COMMAND_TIMEOUT) -> Result: ...


@dataclass(frozen=True, slots=True)
class _Call:
    text: str
    script: bool
    timeout: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error as values: exceptions with keyword arguments do not survive the way between processes."""

    unreachable: bool
    message: str
    host: str | None
    command: str | None
    output: str | None
    hint: str | None

    @classmethod
    def of(cls, error: KbootstrapError) -> "_Failure":
        lost = isinstance(error, Unreachable)
        return cls(lost, error.message, error.host, error.command, error.output, error.hint)

    def error(self) -> KbootstrapError:
        kind = Unreachable if self.unreachable else CommandFailed
        return kind(self.message, host=self.host, command=self.command, output=self.output, hint=self.hint)


def lend(connection: Connection, pipe: Pipe) -> None:
    """Runs what is asked for through the pipe on the connection, until the other end is closed."""
    with pipe, suppress(EOFError, OSError):
        while True:
            call: _Call = pipe.recv()
            pipe.send(_answer(connection, call))


def _answer(connection: Connection, call: _Call) -> Result | _Failure:
    try:
        if call.script:
            return connection.run_script(call.text, timeout=call.timeout)
        return connection.run(call.text, timeout=call.timeout)
    except KbootstrapError as error:
        return _Failure.of(error)


@dataclass(slots=True)
class Borrowed:
    """A host's connection as a test process has it: a Remote that does one thing at a time."""

    name: str
    pipe: Pipe
    _lock: Lock = field(default_factory=Lock)

    def run(self, command: str, *, timeout: float = COMMAND_TIMEOUT) -> Result:
        return self._ask(_Call(command, False, timeout))

    def run_script(self, script: str, *, timeout: float = COMMAND_TIMEOUT) -> Result:
        return self._ask(_Call(script, True, timeout))

    def _ask(self, call: _Call) -> Result:
        try:
            with self._lock:
                self.pipe.send(call)
                answer: Result | _Failure = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise Unreachable("the process that holds the connection is gone", host=self.name) from error
        if isinstance(answer, _Failure):
            raise answer.error()
        return answer
