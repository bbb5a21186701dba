"""Every failure a user can meet: what happened, where, with which command, and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass


class KbootstrapError(Exception):
    """The base of all expected failures; `exit_code` is what the command line ends with.

    `message` says what happened; `host` where; `command` and `output` what was run and what it printed
    (never a secret); `hint` what the reader can do next.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        host: str | None = None,
        command: str | None = None,
        output: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.host = host
        self.command = command
        self.output = output
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.host}: {self.message}" if self.host else self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in something the user wrote, with its place (1-based line and column).

    `excerpt` is the line it is in with a caret under the column, left out where it might show a secret.
    """

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str | None = None
    excerpt: str | None = None

    @property
    def place(self) -> str:
        """`file:line:column`, as far as known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class InvalidInput(KbootstrapError):
    """An inventory or playbook is wrong; carries every problem found, not only the first."""

    exit_code = 3

    def __init__(self, message: str, problems: Sequence[Problem] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class Unreachable(KbootstrapError):
    """A host cannot be reached or logged in to: network, host key, credentials, sudo."""

    exit_code = 4


class PreflightFailed(KbootstrapError):
    """The hosts are not fit for what was asked; carries every finding. Nothing has been changed."""

    exit_code = 5

    def __init__(self, message: str, problems: Sequence[Problem] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class PkiUnusable(PreflightFailed):
    """The cluster's own authorities and keys, as the hosts hold them, contradict each other, are incomplete or expired.

    Nothing has been changed, and nothing is made in their place: a cluster that exists would not accept it.
    """


class Locked(KbootstrapError):
    """Somebody else is changing this cluster."""

    exit_code = 6


class CheckFailed(KbootstrapError):
    """A state that had to be reached was not reached before its deadline, or a verification failed."""

    exit_code = 7


class ArtifactError(KbootstrapError):
    """A binary, image or package cannot be had, or is not what its digest says."""

    exit_code = 8


class CommandFailed(KbootstrapError):
    """A command on a host, or a local program, ended with a failure."""


class LabError(KbootstrapError):
    """The test hosts cannot be made, found or removed."""


class HostsFailed(KbootstrapError):
    """Several hosts failed at once; carries each host's own error."""

    def __init__(self, message: str, failures: Sequence[KbootstrapError], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.failures = tuple(failures)
        if self.failures:
            self.exit_code = max(failure.exit_code for failure in self.failures)
