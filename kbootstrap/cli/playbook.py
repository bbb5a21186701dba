"""`playbook`: a user's own phases and steps, by the same machinery as everything else."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kbootstrap.cli import options
from kbootstrap.cli.console import watching
from kbootstrap.cli.timing import timed
from kbootstrap.cli.up import CHANGES_PENDING, show_outcome, show_plan

playbook_app = typer.Typer(help="Run a playbook of your own.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="The playbook.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(playbook_app, name="playbook")


@playbook_app.command()
def plan(file: File, inventory: options.Inventory = options.DEFAULT_INVENTORY, limit: options.Limit = None) -> int:
    """Shows what the playbook would change. Exit code 2 when there is something."""
    from kbootstrap.workflows import converge as workflow  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.playbooks import load_playbook  # noqa: PLC0415

    cluster = options.load(inventory)
    playbook = load_playbook(file, cluster)
    with watching(Console(stderr=True)) as emit:
        found = workflow.plan(cluster, workflow.Wish(playbook, file.absolute().parent, tuple(limit or ())), emit)
    show_plan(found, Console(), diffs=True)
    return CHANGES_PENDING if found.changes else 0


@playbook_app.command()
def run(
    file: File,
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    limit: options.Limit = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every change.")] = False,
    json_: options.Json = False,
) -> None:
    """Runs the playbook."""
    from kbootstrap.workflows import converge as workflow  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.playbooks import load_playbook  # noqa: PLC0415

    started = time.monotonic()
    cluster = options.load(inventory)
    playbook = load_playbook(file, cluster)
    console = Console()
    with timed(console, json_lines=json_, verbose=verbose) as (emit, timings):
        wish = workflow.Wish(playbook, file.absolute().parent, tuple(limit or ()))
        done = workflow.converge(cluster, wish, emit, command=f"playbook run {file}")
    show_outcome(done, timings, time.monotonic() - started, console, json_=json_)
