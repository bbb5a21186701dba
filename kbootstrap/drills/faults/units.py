"""Faults that stop or kill a unit, and are undone by its start."""

from kbootstrap.drills.drill import Fault
from kbootstrap.model.cluster import Host

WATCHED_SECONDS = 8.0


def stopped(unit: str, host: Host, seconds: float = WATCHED_SECONDS) -> Fault:
    """The unit ends as on any `systemctl stop`, and stays so."""
    return _ended(f"stop {_name(unit)} on {host.name}", unit, host, _stop(unit), seconds)


def killed(unit: str, host: Host, seconds: float = WATCHED_SECONDS) -> Fault:
    """All of its processes are killed; systemd starts it again."""
    return _ended(f"kill -9 {_name(unit)} on {host.name}", unit, host, _kill(unit), seconds)


def killed_for_good(unit: str, host: Host, seconds: float = WATCHED_SECONDS) -> Fault:
    """It is killed, and does not come back: as with a host that is lost."""
    strike = f"{_kill(unit)}\n{_stop(unit)}"
    return _ended(f"kill -9 {_name(unit)} on {host.name} for good", unit, host, strike, seconds)


def start(unit: str) -> str:
    """Shell that starts a unit; whether it comes up is for the steady state to tell."""
    return f"systemctl start --no-block {unit}"


def _name(unit: str) -> str:
    return unit.removesuffix(".service")


def _stop(unit: str) -> str:
    return f"systemctl stop --no-block {unit}"


def _kill(unit: str) -> str:
    return f"systemctl kill --signal=KILL {unit}"


def _ended(title: str, unit: str, host: Host, strike: str, seconds: float) -> Fault:
    return Fault(title, (host.name,), strike={host.name: strike}, undo={host.name: start(unit)}, seconds=seconds)
