"""The systemd units of daemons: one template for all, so that they restart, stop and are confined alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Literal

from kbootstrap.render.renderer import render
from kbootstrap.steps.file import File

UNITS = PurePosixPath("/etc/systemd/system")

HTTP2_PING: Mapping[str, str] = MappingProxyType(
    {"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "5", "HTTP2_PING_TIMEOUT_SECONDS": "5"}
)
"""Client-go: ping a connection that was silent for 5 s, and give it up after 5 s more. Its defaults are 30 and 15:
a client whose apiserver lost power would hang that long."""

NETWORKING: Mapping[str, str] = MappingProxyType(
    {
        "LockPersonality": "yes",
        "NoNewPrivileges": "yes",
        "PrivateTmp": "yes",
        "ProtectClock": "yes",
        "ProtectHome": "yes",
        "ProtectKernelLogs": "yes",
        "ProtectSystem": "full",
        "RestrictSUIDSGID": "yes",
        "SystemCallArchitectures": "native",
    }
)
"""For daemons that change the host's network: they keep their capabilities, and cannot write /usr and /etc."""

CONFINED: Mapping[str, str] = MappingProxyType(
    {
        **NETWORKING,
        "CapabilityBoundingSet": "",
        "PrivateDevices": "yes",
        "ProtectControlGroups": "yes",
        "ProtectKernelModules": "yes",
        "ProtectKernelTunables": "yes",
        "ProtectSystem": "strict",
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_NETLINK AF_UNIX",
        "RestrictNamespaces": "yes",
        "RestrictRealtime": "yes",
    }
)
"""For daemons that only use the network and their own files."""

CRITICAL_POD_OOM_SCORE = -997
"""What kubelet gives critical static pods (pkg/kubelet/qos): the control plane is no less worth as units."""
NODE_OOM_SCORE = -999
"""What kubelet gives itself and the container runtime."""


@dataclass(frozen=True, slots=True)
class Service:
    """A daemon's unit. `command` is a program and its arguments, unquoted.

    It is restarted for ever: a daemon waits for its peers by being started again, so a cold start of all hosts
    needs no hand on it. Times in seconds.
    """

    description: str
    documentation: str
    command: Sequence[str]
    limit_nofile: int
    type: Literal["exec", "notify"] = "exec"
    after: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_file: PurePosixPath | None = None
    before_start: tuple[str, ...] = ()
    after_start: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    restart_seconds: float = 1
    start_seconds: int = 90
    stop_seconds: int = 90
    oom_score: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    """Further lines of the [Service] section."""

    def file(self, name: str, mode: int = 0o644) -> File:
        """The unit as a file; `name` with its suffix."""
        return File(unit_path(name), render("systemd/service.j2", self._quoted()), mode)

    def _quoted(self) -> "_Unit":
        return _Unit(
            description=self.description,
            documentation=self.documentation,
            after=" ".join(("network-online.target", *self.after)),
            type=self.type,
            environment=tuple(_word(f"{name}={value}", dollar="$") for name, value in self.environment.items()),
            environment_file=str(self.environment_file or ""),
            before_start=self.before_start,
            command=tuple(_word(part) for part in self.command),
            after_start=self.after_start,
            reload=self.reload,
            restart_seconds=self.restart_seconds,
            start_seconds=self.start_seconds,
            stop_seconds=self.stop_seconds,
            limit_nofile=self.limit_nofile,
            oom_score=self.oom_score,
            options=self.options,
        )


@dataclass(frozen=True, slots=True)
class _Unit:
    """What the template takes: everything quoted as systemd reads it."""

    description: str
    documentation: str
    after: str
    type: str
    environment: tuple[str, ...]
    environment_file: str
    before_start: tuple[str, ...]
    command: tuple[str, ...]
    after_start: tuple[str, ...]
    reload: tuple[str, ...]
    restart_seconds: float
    start_seconds: int
    stop_seconds: int
    limit_nofile: int
    oom_score: int
    options: Mapping[str, str]


def unit_path(name: str) -> PurePosixPath:
    """Where a unit of ours lies."""
    return UNITS / name


def flags(wanted: Mapping[str, object], extra: Mapping[str, str]) -> tuple[str, ...]:
    """`--name=value` for each; `extra` (the inventory's) wins over what we want."""
    return tuple(f"--{name}={_flag_value(value)}" for name, value in {**wanted, **extra}.items())


def _flag_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _word(text: str, dollar: str = "$$") -> str:
    """One word of a unit file's line; systemd expands `%` everywhere and `$` in commands."""
    escaped = text.replace("\\", "\\\\").replace("%", "%%").replace("$", dollar)
    if escaped and not any(char in escaped for char in " \t\n\"';"):
        return escaped
    return '"' + escaped.replace('"', '\\"').replace("\n", "\\n") + '"'
