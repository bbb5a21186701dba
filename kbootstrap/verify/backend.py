"""testinfra over our own connection to a host."""

from dataclasses import dataclass, field, replace
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from kbootstrap.transport.connection import COMMAND_TIMEOUT, Result
from kbootstrap.verify.lend import Remote

COMMAND_SECONDS = 30.0
"""How long a command of a test may take, before the inventory's scale: tests look, they do not work."""


@dataclass(slots=True)
class Log:
    """The latest command of a session, which explains a failure."""

    last: Result | None = None


@dataclass(slots=True)
class Witness:
    """A Remote that notes what it ran.

    With `remember`, the same command runs once: many properties that testinfra reads one by one come from the same
    output, and a suite that only looks needs no second look.
    """

    remote: Remote
    log: Log
    remember: bool = False
    _memory: dict[str, Result] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.remote.name

    def run(self, command: str, *, timeout: float = COMMAND_TIMEOUT) -> Result:
        result = self._memory.get(command) or self.remote.run(command, timeout=timeout)
        if self.remember:
            self._memory[command] = result
        self.log.last = result
        return result

    def run_script(self, script: str, *, timeout: float = COMMAND_TIMEOUT) -> Result:
        result = self.remote.run_script(script, timeout=timeout)
        self.log.last = None if "\n" in script else replace(result, command=script)
        return result


class ConnectionBackend(BaseBackend):  # type: ignore[misc]
    """Runs testinfra's commands as root over a connection, so that its sudo, jump hosts and host keys are honoured."""

    NAME = "kbootstrap"

    def __init__(self, remote: Remote, scale: float) -> None:
        super().__init__(remote.name)
        self._seconds = COMMAND_SECONDS * scale
        self._remote = remote

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:  # noqa: ANN401 - testinfra's
        line = self.get_command(command, *args)
        result = self._remote.run(line, timeout=self._seconds)
        return self.result(result.exit_code, line.encode(), result.stdout, result.stderr)

    def decode(self, data: bytes) -> str:
        """Text for whatever a host prints; the base class would ask the host for its encoding."""
        return data.decode(errors="replace")


def host_over(remote: Remote, scale: float) -> Host:
    """testinfra's host, over `remote`; its commands have the inventory's scale."""
    backend = ConnectionBackend(remote, scale)
    host = Host(backend)
    backend.set_host(host)
    return host
