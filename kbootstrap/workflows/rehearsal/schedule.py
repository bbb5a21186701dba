"""Rehearsals by themselves: a systemd timer on this machine, which has the age key; no host of the cluster has it."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from kbootstrap.errors import CommandFailed, InvalidInput
from kbootstrap.render.renderer import render

OFF = "off"
SECONDS = 30.0
_TMPDIR = "TMPDIR"
_PASSED_ON = ("PATH", "HOME", _TMPDIR, "XDG_CACHE_HOME", "XDG_STATE_HOME")
"""Where artifacts, scratch places and SSH keys are found: a timer has no login's environment."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """When (systemd OnCalendar) which cluster's latest backup is rehearsed, with which key. Paths are absolute."""

    cluster: str
    calendar: str
    inventory: Path
    identity: Path
    origin: str | None = None

    @property
    def unit(self) -> str:
        """The units' name, without suffix."""
        return f"kbootstrap-rehearse-{self.cluster}"


@dataclass(frozen=True, slots=True)
class _Service:
    cluster: str
    command: tuple[str, ...]
    environment: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Timer:
    cluster: str
    calendar: str


@dataclass(frozen=True, slots=True)
class Systemd:
    """The system's systemd for root, else the user's own."""

    folder: Path = field(default_factory=lambda: _folder(root=os.geteuid() == 0))
    command: tuple[str, ...] = field(
        default_factory=lambda: ("systemctl",) if os.geteuid() == 0 else ("systemctl", "--user")
    )

    def run(self, *words: str) -> str:
        """What systemctl says. Raises CommandFailed."""
        return _output([*self.command, *words])


def _folder(*, root: bool) -> Path:
    if root:
        return Path("/etc/systemd/system")
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "systemd" / "user"


def _output(words: list[str]) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandFailed(f"{words[0]} cannot be run here: {error}", hint="a timer needs systemd") from error
    if done.returncode != 0:
        raise CommandFailed(f"{words[0]} failed", command=" ".join(words), output=done.stderr.strip())
    return done.stdout.strip()


def schedule(wanted: Timetable, systemd: Systemd | None = None) -> str:
    """Sets the timer, or with the calendar `off` removes it; answers what is in force now, for people.

    Raises InvalidInput for a time that systemd does not understand.
    """
    manager = systemd or Systemd()
    service, timer = (manager.folder / f"{wanted.unit}.{kind}" for kind in ("service", "timer"))
    if wanted.calendar == OFF:
        if timer.exists():
            manager.run("disable", "--now", timer.name)
        service.unlink(missing_ok=True)
        timer.unlink(missing_ok=True)
        manager.run("daemon-reload")
        return f"{wanted.cluster}: no rehearsals on this machine"
    _require_calendar(wanted.calendar)
    manager.folder.mkdir(parents=True, exist_ok=True)
    service.write_bytes(render("rehearsal/rehearse.service.j2", _service(wanted)))
    timer.write_bytes(render("rehearsal/rehearse.timer.j2", _Timer(wanted.cluster, wanted.calendar)))
    manager.run("daemon-reload")
    manager.run("enable", "--now", timer.name)
    return manager.run("list-timers", "--no-pager", "--no-legend", timer.name)


def _require_calendar(calendar: str) -> None:
    try:
        _output(["systemd-analyze", "calendar", calendar])
    except CommandFailed as error:
        raise InvalidInput(f"{calendar!r} is no time that systemd understands", hint="e.g. 'Sun 04:00'") from error


def _service(wanted: Timetable) -> _Service:
    words = [sys.executable, "-m", "kbootstrap.cli.main", "backup", "rehearse", "latest", "--json"]
    words += ["--inventory", str(wanted.inventory), "--identity", str(wanted.identity)]
    words += ["--from", wanted.origin] if wanted.origin else []
    passed = [f"{name}={os.environ[name]}" for name in _PASSED_ON if name in os.environ]
    return _Service(
        wanted.cluster, tuple(_word(word, "$$") for word in words), tuple(_word(pair, "$") for pair in passed)
    )


def _word(text: str, dollar: str) -> str:
    """One word of a unit file's line; systemd expands `%` everywhere and `$` in commands."""
    for special, plain in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", dollar)):
        text = text.replace(special, plain)
    return f'"{text}"'
