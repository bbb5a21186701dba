"""`history` and `unlock`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kbootstrap.cli import options

if TYPE_CHECKING:
    from kbootstrap.workflows.past import History, PastRun

STYLES = {"ok": "green", "failed": "red", "interrupted": "yellow", "cut short": "yellow"}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(history)
    app.command()(unlock)


def history(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many of the newest runs.")] = 20,
    json_: options.Json = False,
) -> None:
    """Shows the past runs that changed the cluster, as the hosts have noted them."""
    from kbootstrap.workflows.past import read_history  # noqa: PLC0415 - heavy; not for --help

    past = read_history(options.load(inventory))
    runs = past.runs[-count:]
    if json_:
        typer.echo(json.dumps({"runs": [asdict(run) for run in runs], "unread": sorted(past.unread)}))
        return
    console = Console()
    console.print(_table(runs) if runs else "No runs are noted.")
    _print_unread(past, console)


def _table(runs: "tuple[PastRun, ...]") -> Table:
    table = Table("began (UTC)", "run", "who", "command", "outcome", "changes", "seconds", "error")
    for column in table.columns[:-1]:
        column.no_wrap = True
    table.columns[5].justify = table.columns[6].justify = "right"
    table.columns[-1].overflow = "fold"
    for run in runs:
        outcome = f"[{STYLES.get(run.outcome, 'default')}]{escape(run.outcome)}[/]"
        known = run.outcome != "cut short"
        seconds = f"{run.seconds:.1f}" if known else ""
        row = (run.at.removesuffix("+00:00").replace("T", " "), run.run, run.who, run.command)
        table.add_row(*(escape(text) for text in row), outcome, str(run.changes), seconds, escape(run.error))
    return table


def _print_unread(past: "History", console: Console) -> None:
    for name, error in past.unread.items():
        console.print(f"[yellow]![/] {escape(name)}: {escape(error.message)}", highlight=False, soft_wrap=True)


def unlock(
    inventory: options.Inventory = options.DEFAULT_INVENTORY, yes: options.Yes = False, json_: options.Json = False
) -> None:
    """Takes away the lock of a run that is stuck. The run itself goes on if it lives: end that one first."""
    from kbootstrap.workflows import past  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.access import reached  # noqa: PLC0415

    cluster = options.load(inventory)
    console = Console(stderr=json_)
    with reached(cluster) as (connections, failures):
        owners = past.lock_owners(connections)
        for owner in sorted(set(owners.values()), key=lambda owner: owner.since):
            hosts = ", ".join(name for name, held in owners.items() if held == owner)
            text = f"{owner.who} runs `{owner.command}` since {past.age_text(owner)} (run {owner.run}) on {hosts}"
            console.print(escape(text), highlight=False, soft_wrap=True)
        if owners and not yes:
            typer.confirm("Take its lock away? The run itself is not stopped by that", abort=True, err=json_)
        answers = past.release(connections)
    released = [name for name, answer in answers.items() if answer.startswith("released")]
    if json_:
        typer.echo(json.dumps({"released": released, "unreachable": sorted(failures)}))
        return
    console.print(f"Released: {', '.join(released)}." if released else "Nothing is locked.", highlight=False)
    for name, error in failures.items():
        console.print(f"[yellow]![/] {escape(name)}: {escape(error.message)}", highlight=False, soft_wrap=True)
