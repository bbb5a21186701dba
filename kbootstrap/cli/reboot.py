"""`reboot`."""

import time
from typing import Annotated

import typer
from rich.console import Console

from kbootstrap.cli import options
from kbootstrap.cli.timing import timed
from kbootstrap.cli.up import show_outcome


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(reboot)


def reboot(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    limit: options.Limit = None,
    only_needed: Annotated[
        bool, typer.Option("--only-needed", help="Only hosts whose packages ask for a boot (/run/reboot-required).")
    ] = False,
    batch: options.Batch = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every change.")] = False,
    json_: options.Json = False,
) -> None:
    """Boots the hosts anew, one after another, so that nobody notices. Run it again to go on after a failure."""
    from kbootstrap.workflows.reboot import Reboots  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.reboot import reboot as workflow  # noqa: PLC0415

    started = time.monotonic()
    cluster = options.load(inventory)
    wanted = Reboots(tuple(limit or ()), only_needed, options.batch_size(batch))
    console = Console()
    with timed(console, json_lines=json_, verbose=verbose) as (emit, timings):
        done = workflow(cluster, wanted, emit)
    show_outcome(done, timings, time.monotonic() - started, console, json_=json_)
