"""How to reach a host: the inventory's settings, completed by the user's OpenSSH configuration."""

import getpass
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paramiko import ConfigParseError, SSHConfig, SSHConfigDict

from kbootstrap.errors import InvalidInput
from kbootstrap.model.cluster import Host, Ssh
from kbootstrap.transport.known_hosts import DEFAULT_PORT, Identity

USER_CONFIG = Path("~/.ssh/config")
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
USER_KNOWN_HOSTS = (Path("~/.ssh/known_hosts"), Path("~/.ssh/known_hosts2"))
SYSTEM_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))

MAX_INCLUDES = 16
"""How deep configuration files may include one another: OpenSSH's own bound."""

_DEFAULTS = Ssh()


@dataclass(frozen=True, slots=True)
class Target:
    """One SSH server on the way: where it is, who logs in, and with what."""

    address: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    agent: bool
    identity: Identity

    def __str__(self) -> str:
        return f"{self.user}@{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a host: jump hosts, outermost first, or a command that speaks to it."""

    target: Target
    hops: tuple[Target, ...] = ()
    proxy_command: str | None = None


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """An OpenSSH client configuration, as text and understood."""

    text: str
    parsed: SSHConfig

    def lookup(self, alias: str) -> SSHConfigDict:
        """What it says for a host. Raises InvalidInput."""
        try:
            return self.parsed.lookup(alias)
        except (ConfigParseError, ValueError, KeyError) as error:
            raise InvalidInput(f"the SSH configuration for {alias} cannot be read: {error}") from error

    def proxy_command(self, alias: str, user: str, port: int) -> str | None:
        """The command that speaks to a host, with the user and port that hold in the end filled in."""
        settled = SSHConfig.from_text(f"Host *\n User {user}\n Port {port}\n{self.text}")
        return settled.lookup(alias).get("proxycommand")


def load_config(file: Path | None) -> ClientConfig:
    """The OpenSSH client configuration: `file` alone, or the user's and the system's. Raises InvalidInput."""
    files = [file] if file is not None else [USER_CONFIG, SYSTEM_CONFIG]
    lines: list[str] = []
    for path in files:
        # What one file says in its last Host block must not cover the next file.
        lines += ["Host *", *_with_includes(path.expanduser(), required=file is not None)]
    text = "\n".join(lines)
    try:
        return ClientConfig(text, SSHConfig.from_text(text))
    except ConfigParseError as error:
        raise InvalidInput(f"the SSH configuration cannot be read: {error}") from error


def route(host: Host, config: ClientConfig) -> Route:
    """The way to `host`. What the inventory says wins over the configuration. Raises InvalidInput."""
    alias = host.ssh_address or str(host.address)
    options = config.lookup(alias)
    target = _target(host.ssh, alias, options)
    if host.ssh.jump:
        return Route(target, tuple(_hop(host.ssh, hop, config) for hop in host.ssh.jump))
    proxy_jump = options.get("proxyjump")
    if proxy_jump and proxy_jump.lower() != "none":
        return Route(target, tuple(_hop(host.ssh, hop, config) for hop in proxy_jump.split(",")))
    if options.get("proxycommand"):
        return Route(target, proxy_command=config.proxy_command(alias, target.user, target.port))
    return Route(target)


def _target(ssh: Ssh, alias: str, options: SSHConfigDict) -> Target:
    user = ssh.user if ssh.user != _DEFAULTS.user else options.get("user", ssh.user)
    port = ssh.port if ssh.port != _DEFAULTS.port else _port(options.get("port", str(ssh.port)), alias)
    return _resolved(ssh, options, user, port)


def _hop(ssh: Ssh, text: str, config: ClientConfig) -> Target:
    """A jump host. As with `ssh -J`, nothing of the last host's user and port holds for it."""
    match = re.fullmatch(r"(?:ssh://)?(?:(?P<user>.+)@)?(?P<host>\[[^]]+\]|[^:@]+)(?::(?P<port>[^:]+))?", text.strip())
    if match is None:
        raise InvalidInput(f"a jump host that cannot be read: {text!r}", hint="write it as [user@]host[:port]")
    alias = match["host"].strip("[]")
    options = config.lookup(alias)
    user = match["user"] or options.get("user") or getpass.getuser()
    port = _port(match["port"] or options.get("port", str(DEFAULT_PORT)), alias)
    return _resolved(ssh, options, user, port)


def _resolved(ssh: Ssh, options: SSHConfigDict, user: str, port: int) -> Target:
    address = options["hostname"]
    files = [ssh.identity_file] if ssh.identity_file else [Path(file) for file in options.get("identityfile", [])]
    only = options.get("identitiesonly", "no").lower() == "yes"
    alias = options.get("hostkeyalias")
    identity = Identity(alias or address, DEFAULT_PORT if alias else port, _known_hosts(ssh, options), ssh.host_keys)
    return Target(
        address,
        port,
        user,
        tuple(file.expanduser() for file in files),
        ssh.agent and not only,
        identity,
    )


def _known_hosts(ssh: Ssh, options: SSHConfigDict) -> tuple[Path, ...]:
    if ssh.known_hosts is not None:
        return (ssh.known_hosts.expanduser(),)
    user = _paths(options.get("userknownhostsfile"), USER_KNOWN_HOSTS)
    system = _paths(options.get("globalknownhostsfile"), SYSTEM_KNOWN_HOSTS)
    return tuple(file.expanduser() for file in (*user, *system))


def _paths(text: str | None, default: Sequence[Path]) -> Sequence[Path]:
    if text is None:
        return default
    return [Path(word.strip('"')) for word in text.split() if word.lower() != "none"]


def _port(text: str, alias: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise InvalidInput(f"{alias}: {text!r} is no port", hint="ports are numbers from 1 to 65535")


def _with_includes(file: Path, *, required: bool, depth: int = 0) -> Iterator[str]:
    """The lines of `file`, with those of included files in their place (paramiko knows no Include)."""
    try:
        content = file.read_text(errors="replace")
    except OSError as error:
        if required:
            raise InvalidInput(f"the SSH configuration {file} cannot be read: {error.strerror}") from error
        return
    block = "Host *"
    for line in content.splitlines():
        words = line.strip().split(None, 1)
        keyword = words[0].lower() if words else ""
        if keyword in {"host", "match"}:
            block = line
        if keyword != "include" or depth >= MAX_INCLUDES:
            yield line
            continue
        for pattern in words[1].split() if len(words) > 1 else ():
            for included in _included(file, pattern.strip('"')):
                yield from _with_includes(included, required=False, depth=depth + 1)
        # The block that the included file may have opened ends with it.
        yield block


def _included(file: Path, pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.is_absolute():
        return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    return sorted(file.parent.glob(pattern))
