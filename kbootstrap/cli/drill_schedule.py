"""`drill schedule`: drills by themselves."""

from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kbootstrap.cli import options
from kbootstrap.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbootstrap.drills.schedule import Suite
    from kbootstrap.model.cluster import Cluster
    from kbootstrap.workflows.timers import Systemd


class Every(StrEnum):
    """How often, where nothing more exact is said."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


CALENDARS = {Every.DAY: "*-*-* 04:00:00", Every.WEEK: "Sun *-*-* 04:00:00", Every.MONTH: "*-*-01 04:00:00"}
CRON = {Every.DAY: "0 4 * * *", Every.WEEK: "0 4 * * 0", Every.MONTH: "0 4 1 * *"}


class Printed(StrEnum):
    """What can be printed instead of installed."""

    UNITS = "units"
    CRONJOB = "cronjob"


def schedule(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    every: Annotated[
        Every | None, typer.Option("--every", help="At 04:00; a week's on Sunday, a month's on the 1st.")
    ] = None,
    calendar: Annotated[
        str | None, typer.Option("--on-calendar", metavar="EVENT", help="A calendar event of systemd's: 'Sat 05:30'.")
    ] = None,
    cron: Annotated[str | None, typer.Option("--cron", help="For a CronJob: '30 5 * * 6'.")] = None,
    off: Annotated[bool, typer.Option("--off", help="No drills by themselves any more.")] = False,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="[USER@]HOST[:PORT]", help="The machine that drills. Default: this one."),
    ] = None,
    inventory_there: Annotated[
        str | None, typer.Option("--inventory-there", help="Where that host has the inventory. Default: as here.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option("--without", help="Leave this drill out.")] = None,
    allowed: Annotated[
        str | None,
        typer.Option("--yes-break-production", metavar="CLUSTER", help="Hurt this cluster although users need it."),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option("--identity", help="Where that machine has the backups' private key (an absolute path)."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", help="Write metrics there (an absolute path) after each suite.")
    ] = None,
    on_failure: Annotated[
        list[str] | None, typer.Option("--on-failure", help="Start this unit, too, when a suite fails.")
    ] = None,
    print_: Annotated[Printed | None, typer.Option("--print", help="Print it; install nothing.")] = None,
    image: Annotated[str | None, typer.Option("--image", help="For a CronJob: an image with kbootstrap in it.")] = None,
) -> None:
    """Runs the suite of drills by itself: a systemd timer on an operations host, or a CronJob to apply elsewhere.

    Without a time it shows what is in force.
    """
    from kbootstrap.drills import schedule as drills  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows import timers  # noqa: PLC0415

    cluster = options.load(inventory)
    files = {"--identity": identity, "--metrics": metrics}
    if print_ is Printed.CRONJOB:
        words = suite_options(cluster, without or [], allowed, files)
        typer.echo(_cronjob(drills.here(cluster.name, inventory.absolute(), words), every, cron, image).rstrip())
        return
    when = _when(every, calendar, off=off)
    if when is None and print_ is None:
        with drills.operations_host(cluster, host) as systemd:
            if off:
                timers.remove(drills.unit(cluster.name), systemd)
            _show(cluster, systemd)
        return
    if when is None:
        raise InvalidInput("it has to be said when", hint="--every week, or --on-calendar 'Sat 05:30'")
    words = suite_options(cluster, without or [], allowed, files)
    if print_ is Printed.UNITS:
        suite = drills.here(cluster.name, inventory.absolute(), words)
        for name, content in timers.units(drills.job(suite, when, tuple(on_failure or ()))).items():
            typer.echo(f"# {name}\n{content.decode()}")
        return
    with drills.operations_host(cluster, host) as systemd:
        place = PurePosixPath(inventory_there or inventory.absolute())
        suite = drills.suite_of(cluster.name, place, words, systemd)
        timers.install(drills.job(suite, when, tuple(on_failure or ())), systemd)
        _show(cluster, systemd)


def suite_options(
    cluster: "Cluster", without: list[str], allowed: str | None, files: "Mapping[str, str | None]"
) -> tuple[str, ...]:
    """What the suite is told. Raises InvalidInput, or Refused when it would be refused each time."""
    from kbootstrap.drills.catalogue import named  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.drills.guards import require_permission  # noqa: PLC0415

    require_permission(cluster, allowed)
    words = [word for drill in named(without) for word in ("--without", drill.name)]
    words += ["--yes-break-production", allowed] if allowed else []
    for option, path in files.items():
        if path is not None and not PurePosixPath(path).is_absolute():
            raise InvalidInput(f"{option}: {path} is no absolute path")
        words += [option, path] if path else []
    return tuple(words)


def _when(every: Every | None, calendar: str | None, *, off: bool) -> str | None:
    if sum((every is not None, calendar is not None, off)) > 1:
        raise InvalidInput("say one of --every, --on-calendar, --off")
    return calendar if every is None else CALENDARS[every]


def _cronjob(suite: "Suite", every: Every | None, cron: str | None, image: str | None) -> str:
    from kbootstrap.drills.schedule import cronjob  # noqa: PLC0415

    if (every is None) == (cron is None):
        raise InvalidInput("a CronJob's time is --every, or --cron", hint="--every week, or --cron '30 5 * * 6'")
    if image is None:
        raise InvalidInput("a CronJob needs an image", hint="--image NAME: one in which kbootstrap is installed")
    return cronjob(suite, CRON[every] if every else cron or "", image)


def _show(cluster: "Cluster", systemd: "Systemd") -> None:
    from kbootstrap.drills.schedule import unit  # noqa: PLC0415
    from kbootstrap.workflows.timers import next_time  # noqa: PLC0415

    Console().print(next_time(unit(cluster.name), systemd) or "No drills by themselves.", highlight=False)
