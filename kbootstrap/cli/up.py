"""`plan` and `up`."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax

from kbootstrap.cli import options
from kbootstrap.cli.console import watching
from kbootstrap.cli.timing import Timings, timed
from kbootstrap.engine.plan import Plan

CHANGES_PENDING = 2
"""What `plan` ends with when `up` would change something, as `terraform plan -detailed-exitcode` does."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(plan)
    app.command()(up)


def plan(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    out: Annotated[Path | None, typer.Option("--out", help="Save the plan, for `up --plan`.")] = None,
    limit: options.Limit = None,
    diffs: Annotated[bool, typer.Option("--diff/--no-diff", help="Show what differs.")] = True,
    json_: options.Json = False,
) -> int:
    """Shows what `up` would change, host by host. Exit code 2 when there is something."""
    from kbootstrap.workflows import converge as workflow  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.playbooks import builtin  # noqa: PLC0415

    cluster = options.load(inventory)
    with watching(Console(stderr=True)) as emit:
        found = workflow.plan(cluster, workflow.Wish(builtin("up"), limit=tuple(limit or ())), emit)
    kept = workflow.saved(cluster, found)
    if out is not None:
        options.write(out, kept.to_json() + "\n")
    if json_:
        typer.echo(json.dumps(plan_value(found)))
    else:
        show_plan(found, Console(), diffs=diffs)
    return CHANGES_PENDING if found.changes else 0


def up(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    saved_plan: Annotated[
        Path | None, typer.Option("--plan", help="Do exactly what this saved plan says, or refuse.")
    ] = None,
    limit: options.Limit = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every change.")] = False,
    json_: options.Json = False,
) -> None:
    """Makes the hosts what the inventory says: from nothing, from half-installed, from drifted."""
    from kbootstrap.workflows import converge as workflow  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.playbooks import builtin  # noqa: PLC0415

    started = time.monotonic()
    cluster = options.load(inventory)
    only = workflow.load_saved(saved_plan) if saved_plan else None
    console = Console()
    with timed(console, json_lines=json_, verbose=verbose) as (emit, timings):
        wish = workflow.Wish(builtin("up"), limit=tuple(limit or ()))
        done = workflow.converge(cluster, wish, emit, only=only, command="up")
    show_outcome(done, timings, time.monotonic() - started, console, json_=json_)
    if not json_ and not limit:
        console.print(f"Cluster [bold]{escape(cluster.name)}[/] is ready.")


def show_outcome(done: Plan, timings: Timings, seconds: float, console: Console, *, json_: bool) -> None:
    """Prints what a run did and where its time went."""
    if json_:
        typer.echo(json.dumps({"event": "Finished", "changes": done.changes, "seconds": round(seconds, 2)}))
    elif done.changes:
        console.print(timings.table())
        console.print(f"{done.changes} changes in {seconds:.1f} s.")
    else:
        console.print(f"Nothing to change ({seconds:.1f} s).")


def show_plan(plan: Plan, console: Console, *, diffs: bool) -> None:
    """Prints a plan for people."""
    for task in plan.tasks:
        if task.changes:
            console.print(f"[bold]{escape(task.host)}[/] [dim]{task.phase}[/]", highlight=False)
        for change in task.changes:
            console.print(f"  ~ {escape(change.title)}", highlight=False, soft_wrap=True)
            if diffs and change.diff:
                console.print(_diff(change.diff))
    hosts = len({task.host for task in plan.tasks if task.changes})
    summary = f"{plan.changes} changes on {hosts} hosts" if plan.changes else "Nothing to change"
    console.print(f"[bold]{summary}.[/]", highlight=False)


def _diff(text: str) -> Syntax:
    return Syntax(text, "diff", background_color="default", padding=(0, 6), word_wrap=True)


def plan_value(plan: Plan) -> dict[str, object]:
    """A plan for machines; diffs are masked as they are for people."""
    return {
        "changes": plan.changes,
        "fingerprint": plan.fingerprint,
        "tasks": [
            {
                "phase": task.phase,
                "host": task.host,
                "changes": [{"title": change.title, "diff": change.diff} for change in task.changes],
            }
            for task in plan.tasks
            if task.changes
        ],
    }
