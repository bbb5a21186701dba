"""`reset`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kbootstrap.cli import options
from kbootstrap.cli.console import watching
from kbootstrap.events import ignore

if TYPE_CHECKING:
    from kbootstrap.workflows.reset import Done, Ready


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(reset)


def reset(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    limit: options.Limit = None,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Put etcd's data, keys and backups aside, in /var/backups/kbootstrap.")
    ] = False,
    packages: Annotated[
        bool, typer.Option("--packages", help="Remove the OS packages too that kbootstrap installed.")
    ] = False,
    yes: options.Yes = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every change.")] = False,
    json_: options.Json = False,
) -> None:
    """Takes the cluster off its hosts, with all that is in it, and says what it left. Asks first."""
    from kbootstrap.engine.lock import new_owner  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.engine.selectors import limited  # noqa: PLC0415
    from kbootstrap.workflows import reset as workflow  # noqa: PLC0415
    from kbootstrap.workflows.apply import Run  # noqa: PLC0415
    from kbootstrap.workflows.playbooks import builtin  # noqa: PLC0415
    from kbootstrap.workflows.removal import KEPT, Removal  # noqa: PLC0415

    cluster = options.load(inventory)
    hosts = limited(cluster, limit or ())
    console = Console(stderr=json_)
    run = Run(new_owner("reset"), ignore)
    removal = Removal(KEPT / run.owner.run if keep_data else None, packages)
    with workflow.prepared(cluster, hosts, builtin("reset"), removal, run) as ready:
        if ready.plan.changes and not yes:
            _confirm(ready, keep_data=keep_data, whole=len(hosts) == len(cluster.hosts), console=console)
        with watching(console, json_lines=json_, verbose=verbose) as emit:
            run.emit = emit
            done = workflow.take_off(ready)
    if json_:
        value = {"changes": done.changes, "untouched": ready.untouched, "left": done.left}
        typer.echo(json.dumps(value))
    else:
        _print_outcome(ready, done, console)


def _confirm(ready: "Ready", *, keep_data: bool, whole: bool, console: Console) -> None:
    name = ready.cluster.name
    touched = [host for host in ready.connections if host not in ready.untouched]
    console.print(f"This takes the cluster [bold]{escape(name)}[/] off {escape(', '.join(touched))}.", highlight=False)
    if not keep_data:
        console.print("[bold red]All that is stored in it is lost[/], unless you give --keep-data.", highlight=False)
    if not whole:
        console.print("What remains of the cluster still counts these hosts as nodes and etcd members.")
    if typer.prompt(f"Type the cluster's name ({name}) to go on", default="", show_default=False) != name:
        raise typer.Abort


def _print_outcome(ready: "Ready", done: "Done", console: Console) -> None:
    if ready.untouched:
        console.print(f"Nothing of kbootstrap's was on {', '.join(ready.untouched)}.", highlight=False)
    console.print(f"{done.changes} changes.", highlight=False)
    hosts_by_rest: dict[tuple[str, ...], list[str]] = {}
    for host, rest in done.left.items():
        hosts_by_rest.setdefault(rest, []).append(host)
    for rest, hosts in hosts_by_rest.items():
        if rest:
            console.print(f"Left on {', '.join(hosts)}: {'; '.join(rest)}.", highlight=False, soft_wrap=True)
