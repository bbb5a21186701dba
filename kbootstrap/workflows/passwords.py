"""Where sudo passwords come from: a prompt, the environment, a file. They are kept nowhere."""

import getpass
import os
import sys
from pathlib import Path

from kbootstrap.errors import InvalidInput
from kbootstrap.model.cluster import Host, PasswordKind, PasswordSource
from kbootstrap.transport.ssh import SudoPassword


def sudo_passwords() -> SudoPassword:
    """A provider for one run: each user is asked for once, whatever the number of hosts."""
    answers: dict[str, str] = {}

    def password(host: Host) -> str:
        source = host.ssh.sudo_password or PasswordSource()
        if source.kind is PasswordKind.ENVIRONMENT:
            return _from_environment(source.name, host)
        if source.kind is PasswordKind.FILE:
            return _from_file(Path(source.name), host)
        if host.ssh.user not in answers:
            answers[host.ssh.user] = _asked(host)
        return answers[host.ssh.user]

    return password


def _from_environment(name: str, host: Host) -> str:
    if name not in os.environ:
        raise InvalidInput(f"the sudo password of {host.name} should be in ${name}, which is not set")
    return os.environ[name]


def _from_file(path: Path, host: Host) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the sudo password of {host.name} cannot be read: {error}") from error


def _asked(host: Host) -> str:
    if not sys.stdin.isatty():
        raise InvalidInput(
            f"{host.name} needs a sudo password, and there is no terminal to ask on",
            hint="in the inventory: `sudo_password: {env: NAME}` or `{file: PATH}`",
        )
    return getpass.getpass(f"sudo password of {host.ssh.user}: ")
