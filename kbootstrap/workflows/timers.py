"""Commands of kbootstrap's that run by themselves: systemd timers, on this machine or on a host over SSH."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from kbootstrap.errors import CommandFailed, InvalidInput
from kbootstrap.render.renderer import render
from kbootstrap.transport.connection import Connection

SECONDS = 30.0
SYSTEM_UNITS = PurePosixPath("/etc/systemd/system")
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "KBOOTSTRAP_AGE_IDENTITY")
"""Where artifacts, scratch places and keys are found: a timer has no login's environment."""


@dataclass(frozen=True, slots=True)
class Job:
    """A command line, and when it runs (systemd OnCalendar).

    `unit` is the units' name without suffix. With `catch_up` it runs later if the machine was off at its time.
    `service` are further lines of the service. A failure is in the system's log, and starts `on_failure`.
    """

    unit: str
    title: str
    calendar: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    service: tuple[str, ...] = ()
    catch_up: bool = False
    on_failure: tuple[str, ...] = ()

    @property
    def failed_unit(self) -> str:
        """The unit that says in the log that it failed."""
        return f"{self.unit}-failed.service"


@dataclass(frozen=True, slots=True)
class _Service:
    title: str
    command: tuple[str, ...]
    environment: tuple[str, ...]
    service: tuple[str, ...]
    on_failure: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Timer:
    title: str
    calendar: str
    catch_up: bool


@dataclass(frozen=True, slots=True)
class _Failed:
    unit: str
    title: str
    message: str


class Systemd(Protocol):
    """The systemd of a machine, and its folder of units."""

    def run(self, *words: str) -> str:
        """What a command says, such as `systemctl daemon-reload`. Raises CommandFailed."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """A unit file."""
        ...

    def remove(self, name: str) -> None:
        """No unit file of that name."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is a unit file of that name."""
        ...


@dataclass(frozen=True, slots=True)
class LocalSystemd:
    """This machine's: the system's for root, else the user's own."""

    folder: Path = field(default_factory=lambda: units_folder(root=os.geteuid() == 0))
    scope: tuple[str, ...] = field(default_factory=lambda: () if os.geteuid() == 0 else ("--user",))

    def run(self, *words: str) -> str:
        line = [words[0], *(self.scope if words[0] == "systemctl" else ()), *words[1:]]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CommandFailed(f"{words[0]} cannot be run here: {error}", hint="a timer needs systemd") from error
        if done.returncode != 0:
            raise CommandFailed(f"{words[0]} failed", command=shlex.join(line), output=done.stderr.strip())
        return done.stdout.strip()

    def write(self, name: str, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()


@dataclass(frozen=True, slots=True)
class RemoteSystemd:
    """The system's on a host."""

    connection: Connection
    folder: PurePosixPath = SYSTEM_UNITS

    def run(self, *words: str) -> str:
        return self.connection.run(shlex.join(words), timeout=SECONDS).require().text

    def write(self, name: str, content: bytes) -> None:
        self.connection.put(content, str(self.folder / name), mode=0o644)

    def remove(self, name: str) -> None:
        self.connection.run(f"rm -f {shlex.quote(str(self.folder / name))}").require()

    def has(self, name: str) -> bool:
        return self.connection.run(f"test -e {shlex.quote(str(self.folder / name))}").ok


def units_folder(*, root: bool) -> Path:
    """Where this machine's units lie."""
    if root:
        return Path(SYSTEM_UNITS)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "systemd" / "user"


def passed_on() -> dict[str, str]:
    """What of this environment a command of ours needs."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def units(job: Job) -> dict[str, bytes]:
    """The unit files by name."""
    service = _Service(
        title=_line(job.title),
        command=tuple(_word(word, "$$") for word in job.command),
        environment=tuple(_word(f"{name}={value}", "$") for name, value in job.environment.items()),
        service=job.service,
        on_failure=(job.failed_unit, *job.on_failure),
    )
    log = f"journalctl -u {job.unit}"
    failed = _Failed(job.unit, _line(job.title), _word(f"{job.title} failed: {log} says why", "$$"))
    return {
        f"{job.unit}.service": render("schedule/job.service.j2", service),
        job.failed_unit: render("schedule/failed.service.j2", failed),
        f"{job.unit}.timer": render("schedule/job.timer.j2", _Timer(_line(job.title), job.calendar, job.catch_up)),
    }


def install(job: Job, systemd: Systemd) -> str:
    """Sets the timer, and answers what is in force now, for people.

    Raises InvalidInput for a time that systemd does not understand.
    """
    _require_calendar(job.calendar, systemd)
    for name, content in units(job).items():
        systemd.write(name, content)
    timer = f"{job.unit}.timer"
    systemd.run("systemctl", "daemon-reload")
    systemd.run("systemctl", "enable", timer)
    systemd.run("systemctl", "restart", timer)  # one that runs already takes its new time only so
    return next_time(job.unit, systemd)


def next_time(unit: str, systemd: Systemd) -> str:
    """When it runs next, as systemd says it; empty where there is no such timer."""
    timer = f"{unit}.timer"
    return systemd.run("systemctl", "list-timers", "--no-pager", "--no-legend", timer) if systemd.has(timer) else ""


def remove(unit: str, systemd: Systemd) -> None:
    """No timer of that name, whether there is one or not."""
    timer = f"{unit}.timer"
    if systemd.has(timer):
        systemd.run("systemctl", "disable", "--now", timer)
    for name in (f"{unit}.service", f"{unit}-failed.service", timer):
        systemd.remove(name)
    systemd.run("systemctl", "daemon-reload")


def _require_calendar(calendar: str, systemd: Systemd) -> None:
    try:
        systemd.run("systemd-analyze", "calendar", calendar)
    except CommandFailed as error:
        raise InvalidInput(f"{calendar!r} is no time that systemd understands", hint="e.g. 'Sun 04:00'") from error


def _word(text: str, dollar: str) -> str:
    """One word of a unit file's line; systemd expands `%` everywhere and `$` in commands."""
    for special, plain in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", dollar)):
        text = text.replace(special, plain)
    return f'"{text}"'


def _line(text: str) -> str:
    return text.replace("%", "%%")
