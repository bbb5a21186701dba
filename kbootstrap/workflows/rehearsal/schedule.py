"""Rehearsals by themselves: a systemd timer on this machine, which has the age key; no host of the cluster has it."""

import sys
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.workflows.timers import Job, LocalSystemd, Systemd, install, passed_on, remove

OFF = "off"
_SERVICE = ("UMask=0077", "Nice=10", "IOSchedulingClass=idle")


@dataclass(frozen=True, slots=True)
class Timetable:
    """When (systemd OnCalendar) which cluster's latest backup is rehearsed, with which keys. Paths are absolute.

    `on` names the host that it is done on; the timer is always this machine's.
    """

    cluster: str
    calendar: str
    inventory: Path
    identity: Path
    origin: str | None = None
    keys: Path | None = None
    on: str | None = None

    @property
    def unit(self) -> str:
        """The units' name, without suffix."""
        return f"kbootstrap-rehearse-{self.cluster}"


def schedule(wanted: Timetable, systemd: Systemd | None = None) -> str:
    """Sets the timer, or with the calendar `off` removes it; answers what is in force now, for people.

    Raises InvalidInput for a time that systemd does not understand.
    """
    place = systemd or LocalSystemd()
    if wanted.calendar == OFF:
        remove(wanted.unit, place)
        return f"{wanted.cluster}: no rehearsals on this machine"
    return install(_job(wanted), place)


def _job(wanted: Timetable) -> Job:
    words = [sys.executable, "-m", "kbootstrap.cli.main", "backup", "rehearse", "latest", "--json"]
    words += ["--inventory", str(wanted.inventory), "--identity", str(wanted.identity)]
    for option, value in (("--from", wanted.origin), ("--keys", wanted.keys), ("--on", wanted.on)):
        words += [option, str(value)] if value else []
    return Job(
        unit=wanted.unit,
        title=f"Rehearsal of the latest backup of {wanted.cluster}",
        calendar=wanted.calendar,
        command=tuple(words),
        environment=passed_on(),
        service=_SERVICE,
        catch_up=True,
    )
