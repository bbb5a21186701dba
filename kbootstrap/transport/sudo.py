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
    """What sudo's words mean, and the remedy."""
    if sudo is Sudo.NONE:
        return (
            f"logs in as {user}, who is not root",
            "set `sudo: nopasswd` or `sudo: password` for it, or log in as root",
        )
    text = output.lower()
    if "must have a tty" in text or "no tty present" in text:
        return "sudo wants a terminal (requiretty)", f"add to its sudoers: Defaults:{user} !requiretty"
    if "not in the sudoers" in text or "may not run sudo" in text or "not allowed to execute" in text:
        return f"{user} may not run everything through sudo", f"add to its sudoers: {user} ALL=(ALL) ALL"
    if "incorrect password" in text or "try again" in text or "no password was provided" in text:
        return (
            f"sudo does not accept the password of {user}",
            "give the right one (prompt, environment or file)",
        )
    if "password is required" in text:
        return (
            "sudo wants a password",
            f"set `sudo: password`, or add to its sudoers: {user} ALL=(ALL) NOPASSWD: ALL",
        )
    if "not found" in text or "no such file" in text:
        return "there is no sudo on the host", "install sudo there, or log in as root"
    return f"{user} cannot become root through sudo", "log in by hand and try: sudo id -u"
