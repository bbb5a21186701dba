"""`kbootstrap backup`: makes backups, shows what there is, reads copies again, prunes, says when."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kbootstrap.cli import options
from kbootstrap.cli.console import watching
from kbootstrap.cli.proof import export_keys, rehearse, runbook
from kbootstrap.cli.timing import timed
from kbootstrap.cli.words import age
from kbootstrap.errors import CheckFailed, InvalidInput

if TYPE_CHECKING:
    from kbootstrap.workflows.backups.overview import Kept, Overview

backup_app = typer.Typer(name="backup", help="Backups of etcd and of the cluster's keys.", no_args_is_help=True)

BackupId = Annotated[str, typer.Argument(metavar="[ID|latest]", help="Which backup.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    backup_app.command()(rehearse)
    backup_app.command()(runbook)
    backup_app.command()(export_keys)
    app.add_typer(backup_app)


@backup_app.command()
def run(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    limit: options.Limit = None,
    json_: options.Json = False,
) -> None:
    """Makes a backup now, where etcd's leader is or on the hosts of --limit: copied to the targets, and read back."""
    from kbootstrap.workflows.backups.operate import run as workflow  # noqa: PLC0415 - heavy; not for --help

    cluster = options.load(inventory)
    console = Console(stderr=json_)
    with timed(console) as (emit, timings):
        made = workflow(cluster, tuple(limit or ()), emit)
    console.print(timings.table())
    if json_:
        typer.echo(json.dumps(made))
    for host, backup in made.items():
        console.print(f"{escape(backup)} is on {escape(host)}; kbootstrap backup list shows its copies.")


@backup_app.command("list")
def list_(inventory: options.Inventory = options.DEFAULT_INVENTORY, json_: options.Json = False) -> int:
    """Shows all backups, where they lie, and what could be recovered now. Exit code 7 when there is no good one."""
    from kbootstrap.workflows.backups.overview import overview  # noqa: PLC0415

    cluster = options.load(inventory)
    with watching(Console(stderr=True)) as emit:
        found = overview(cluster, emit)
    if json_:
        point = found.recovery_point
        typer.echo(json.dumps({**asdict(found), "recovery_point": point.id if point else None}, default=str))
    else:
        show(found, Console())
    return 0 if found.recovery_point else CheckFailed.exit_code


def show(found: "Overview", console: Console) -> None:
    """Prints the list and the recovery point."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("backup", "age", "size", "revision", "copies", "verified", "rehearsed"):
        table.add_column(title, header_style="dim", overflow="fold", no_wrap=title == "backup")
    for kept in found.backups:
        table.add_row(*_row(kept, found))
    if found.backups:
        console.print(table, highlight=False)
    for host, last in found.runs.items():
        if not last.ok:
            line = f"[red]✗[/] [bold]{escape(host)}[/]: the last run ({last.at}) failed: {escape(last.error)}"
            console.print(line, highlight=False, soft_wrap=True)
    console.print(_recovery_point(found), highlight=False, soft_wrap=True)


def _row(kept: "Kept", found: "Overview") -> tuple[str, ...]:
    damaged = [f"[red]{escape(place)}: {escape(why)}[/]" for place, why in kept.damaged.items()]
    rehearsed = kept.rehearsed
    return (
        kept.id,
        age((found.seen_at - kept.made).total_seconds()),
        f"{kept.bytes / 2**20:.1f} MiB",
        str(kept.revision),
        ", ".join([*map(escape, kept.good), *damaged]),
        f"again {kept.verified}" if kept.verified else "when written" if kept.good else "[red]no[/]",
        "[yellow]unproven[/]"
        if rehearsed is None
        else f"[green]proven[/] {rehearsed.at}"
        if rehearsed.ok
        else f"[red]failed: {escape(rehearsed.error.partition(chr(10))[0])}[/]",
    )


def _recovery_point(found: "Overview") -> str:
    point = found.recovery_point
    if point is None:
        return "[bold red]There is no good backup: nothing could be recovered.[/]"
    behind = f", {found.revision - point.revision} revisions ago" if found.revision else ""
    proven = "" if point.proven else " It is unproven: kbootstrap backup rehearse"
    old = age((found.seen_at - point.made).total_seconds())
    return f"Recovery point now: [bold]{point.id}[/], {old} ago{behind}.{proven}"


@backup_app.command()
def verify(
    backup: BackupId = "latest",
    all_: Annotated[bool, typer.Option("--all", help="Every backup: all of it is read.")] = False,
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    json_: options.Json = False,
) -> int:
    """Reads every copy again and compares its digest with what was written. Exit code 7 when one is damaged."""
    from kbootstrap.workflows.backups.operate import verify as workflow  # noqa: PLC0415

    cluster = options.load(inventory)
    console = Console()
    with watching(Console(stderr=True)) as emit:
        found = workflow(cluster, None if all_ else backup, emit)
    if json_:
        typer.echo(json.dumps([asdict(verdict) for verdict in found]))
    else:
        for verdict in found:
            mark = "[green]✓[/]" if verdict.ok else "[red]✗[/]"
            line = f"{mark} {escape(verdict.place):<12} {escape(verdict.id)} {escape(verdict.reason)}"
            console.print(line, highlight=False, soft_wrap=True)
    if not found:
        raise InvalidInput(f"there is no copy of {backup} anywhere", hint="kbootstrap backup list")
    return 0 if all(verdict.ok for verdict in found) else CheckFailed.exit_code


@backup_app.command()
def prune(
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be deleted.")] = False,
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    json_: options.Json = False,
) -> None:
    """Deletes what the inventory's `keep` does not keep. Never the last good backup, nor the last one rehearsed."""
    from kbootstrap.workflows.backups.operate import prune as workflow  # noqa: PLC0415

    cluster = options.load(inventory)
    with watching(Console(stderr=True)) as emit:
        dropped = workflow(cluster, emit, only_plan=plan)
    if json_:
        typer.echo(json.dumps([{"place": place, "id": backup} for place, backup in dropped]))
        return
    for place, backup in dropped:
        typer.echo(f"{place:<12} {backup}")
    typer.echo(f"{len(dropped)} {'would be deleted' if plan else 'deleted'}.")


@backup_app.command()
def schedule(
    when: Annotated[str | None, typer.Argument(help="A calendar event of systemd's, e.g. '*-*-* 00/6:00:00'.")] = None,
    off: Annotated[bool, typer.Option("--off", help="No timer: only when asked.")] = False,
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
) -> None:
    """Shows when backups are made, or changes it: in the inventory and on the hosts."""
    from kbootstrap.workflows.backups import schedule as workflow  # noqa: PLC0415
    from kbootstrap.workflows.backups.overview import timers  # noqa: PLC0415
    from kbootstrap.workflows.converge import Wish, converge  # noqa: PLC0415
    from kbootstrap.workflows.playbooks import builtin  # noqa: PLC0415

    cluster = options.load(inventory)
    console = Console()
    if when is not None and off:
        raise InvalidInput("say when, or --off, not both")
    with watching(Console(stderr=True)) as emit:
        if when is not None or off:
            if when is not None:
                console.print(f"Next: {escape(workflow.check(cluster, when, emit))}", highlight=False)
            workflow.change(inventory, when)
            cluster = options.load(inventory)
            converge(cluster, Wish(builtin("backup")), emit, command="backup schedule")
        following = timers(cluster, emit)
    console.print(f"Schedule: {escape(cluster.settings.backup.schedule or 'only when asked')}", highlight=False)
    for host, moment in following.items():
        console.print(f"  {escape(host):<12} {escape(moment or 'no timer')}", highlight=False)
