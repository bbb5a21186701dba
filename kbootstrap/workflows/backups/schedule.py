"""`backup schedule`: when hosts make backups."""

from pathlib import Path

from kbootstrap.errors import InvalidInput
from kbootstrap.events import Sink
from kbootstrap.model.backup import calendar
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.edit import set_schedule
from kbootstrap.model.fields import Refused
from kbootstrap.steps.step import quote
from kbootstrap.workflows.backups.hosts import etcd_hosts

_NEXT = "Next elapse: "


def check(cluster: Cluster, schedule: str, emit: Sink) -> str:
    """When it would be next, as a host's systemd says. Raises InvalidInput when that does not understand it."""
    try:
        calendar(schedule)
    except Refused as error:
        raise InvalidInput(str(error), hint="e.g. '*-*-* 00/6:00:00' is every six hours") from None
    with etcd_hosts(cluster, emit) as connections:
        host = next(iter(connections.values()))
        result = host.run(f"LC_ALL=C systemd-analyze calendar -- {quote(schedule)}")
    if not result.ok:
        raise InvalidInput(f"{schedule!r} is no calendar event: {result.errors}", hint="see man systemd.time")
    return next((line.strip().removeprefix(_NEXT) for line in result.text.splitlines() if _NEXT in line), "never")


def change(inventory: Path, schedule: str | None) -> bool:
    """Writes it into the inventory; whether that changed it. Raises InvalidInput."""
    return set_schedule(inventory, schedule)
