"""How a login's commands become root's, proven once after connecting rather than guessed from each failure."""

from collections.abc import Callable

from kbootstrap.errors import Unreachable
from kbootstrap.model.cluster import Sudo
from kbootstrap.transport.process import Outcome
from kbootstrap.transport.shell import Become, Invocation, Shell


def root_shell(
    host: str, user: str, sudo: Sudo, password: str | None, execute: Callable[[Invocation], Outcome]
) -> Shell:
    """The shell that runs commands as root for `user`. Raises Unreachable, naming the remedy.

    `execute` runs an invocation over the connection. Root itself needs no proof and no sudo.
    """
    if user == "root":
        return Shell()
    shell = _shell(host, sudo, password)
    outcome = execute(shell.proof())
    if outcome.exit_code == 0 and outcome.stdout.split()[-1:] == [b"0"]:
        return shell
    output = outcome.output.replace(password, "***") if password else outcome.output
    message, hint = _explain(user, sudo, output)
    raise Unreachable(message, host=host, output=output or None, hint=hint)


def _shell(host: str, sudo: Sudo, password: str | None) -> Shell:
    match sudo:
        case Sudo.NONE:
            return Shell()
        case Sudo.NOPASSWD:
            return Shell(Become.SUDO)
        case Sudo.PASSWORD:
            if not password or "\n" in password:
                raise Unreachable(
                    "sudo needs a password, and none that can be used was given",
                    host=host,
                    hint="say where it comes from (prompt, environment or file): one line, not empty",
                )
            return Shell(Become.SUDO_PASSWORD, password.encode())


def _explain(user: str, sudo: Sudo, output: str) -> tuple[str, str]:
    """What went wrong, and the remedy."""
    if sudo is Sudo.NONE:
        message, hint = _NOT_ROOT
    else:
        text = output.lower()
        found = (meaning for words, *meaning in _MEANINGS if any(word in text for word in words))
        message, hint = next(found, _UNKNOWN)
    return message.format(user=user), hint.format(user=user)


_NOT_ROOT = (
    "logs in as {user}, who is not root",
    "set `sudo: nopasswd` or `sudo: password` for it, or log in as root",
)
_UNKNOWN = ("{user} cannot become root through sudo", "log in by hand and try: sudo id -u")
_MEANINGS = (
    (
        ("must have a tty", "no tty present"),
        "sudo wants a terminal (requiretty)",
        "add to its sudoers: Defaults:{user} !requiretty",
    ),
    (
        ("not in the sudoers", "may not run sudo", "not allowed to execute"),
        "{user} may not run everything through sudo",
        "add to its sudoers: {user} ALL=(ALL) ALL",
    ),
    (
        ("incorrect password", "try again", "no password was provided"),
        "sudo does not accept the password of {user}",
        "give the right one: the prompt, the environment variable or the file that `sudo_password` names",
    ),
    (
        ("password is required",),
        "sudo wants a password",
        "set `sudo: password`, or add to its sudoers: {user} ALL=(ALL) NOPASSWD: ALL",
    ),
    (
        ("not found", "no such file"),
        "there is no sudo on the host",
        "install sudo there, or log in as root",
    ),
)
"""What sudo prints, in its C locale; what it means; what to do."""
