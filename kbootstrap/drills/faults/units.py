"""Faults that stop or kill a unit, and are undone by its start."""

from kbootstrap.drills.drill import Fault
from kbootstrap.model.cluster import Host


def stopped(unit: str, host: Host, seconds: float = 8.0) -> Fault:
    """The unit ends as on any `systemctl stop`, and stays so."""
    return Fault(
        title=f"stop {_name(unit)} on {host.name}",
        hosts=(host.name,),
        strike={host.name: f"systemctl stop --no-block {unit}"},
        undo={host.name: start(unit)},
        seconds=seconds,
    )


def killed(unit: str, host: Host, seconds: float = 8.0) -> Fault:
    """All of its processes are killed; systemd starts it again."""
    return Fault(
        title=f"kill -9 {_name(unit)} on {host.name}",
        hosts=(host.name,),
        strike={host.name: f"systemctl kill --signal=KILL {unit}"},
        undo={host.name: start(unit)},
        seconds=seconds,
    )


def killed_for_good(unit: str, host: Host, seconds: float = 8.0) -> Fault:
    """It is killed, and does not come back: as with a host that is lost."""
    return Fault(
        title=f"kill -9 {_name(unit)} on {host.name} for good",
        hosts=(host.name,),
        strike={host.name: f"systemctl kill --signal=KILL {unit}\nsystemctl stop --no-block {unit}"},
        undo={host.name: start(unit)},
        seconds=seconds,
    )


def start(unit: str) -> str:
    """Shell that starts a unit; whether it comes up is for the steady state to tell."""
    return f"systemctl start --no-block {unit}"


def _name(unit: str) -> str:
    return unit.removesuffix(".service")
