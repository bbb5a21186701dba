"""`backup rehearse`, `runbook` and `export-keys`: whether backups are good, and what must be there to use them."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kbootstrap.cli import options
from kbootstrap.cli.console import watching
from kbootstrap.errors import InvalidInput

if TYPE_CHECKING:
    from kbootstrap.model.cluster import Cluster

Identity = Annotated[
    Path | None,
    typer.Option("--identity", "-I", envvar="KBOOTSTRAP_AGE_IDENTITY", help="File with the age private key."),
]
Origin = Annotated[
    str | None,
    typer.Option("--from", help="Where the backup is: a folder here, a host, or a target. Default: wherever it is."),
]

ExportedKeys = Annotated[
    Path | None,
    typer.Option("--keys", help="What `backup export-keys` wrote: for a backup of a host that had no keys."),
]


def required_identity(identity: Path | None) -> Path:
    """The key's file. Raises InvalidInput."""
    if identity is None:
        raise InvalidInput(
            "a backup is encrypted, and the key to it is not on the cluster",
            hint="--identity FILE names the age private key, or KBOOTSTRAP_AGE_IDENTITY does",
        )
    return identity.expanduser().absolute()


def rehearse(
    backup: Annotated[str, typer.Argument(metavar="[ID|latest]", help="Which backup.")] = "latest",
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    identity: Identity = None,
    origin: Origin = None,
    keys: ExportedKeys = None,
    on: Annotated[
        str | None, typer.Option("--on", help="Do it on this host, behind all else there. Default: on this machine.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="Do it by itself on this machine: a systemd calendar event such as 'Sun 04:00', or off."),
    ] = None,
    json_: options.Json = False,
) -> None:
    """Restores a backup in a scratch place, here or on a host, reads it, and notes beside it that it is proven."""
    from kbootstrap.workflows.backups.targets import target_sources  # noqa: PLC0415
    from kbootstrap.workflows.rehearsal.rehearse import Order  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.rehearsal.rehearse import rehearse as workflow  # noqa: PLC0415

    cluster, key = options.load(inventory), required_identity(identity)
    console = Console(stderr=json_)
    if schedule is not None:
        from kbootstrap.workflows.rehearsal import schedule as timers  # noqa: PLC0415

        paths = inventory.absolute(), key, origin, keys.absolute() if keys else None
        console.print(timers.schedule(timers.Timetable(cluster.name, schedule, *paths, on)), highlight=False)
        return
    with watching(console) as emit, target_sources(cluster, emit) as targets:
        proof = workflow(cluster, Order(key, backup, origin, targets, keys, on), emit)
    if json_:
        typer.echo(proof.as_json().rstrip())
        return
    console.print(
        f"[green]proven[/]: {escape(proof.id)}, revision {proof.revision}, {proof.keys} keys,"
        f" {proof.objects['secrets']} Secrets read, in {proof.seconds:.1f} s",
        highlight=False,
    )


def runbook(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; default: standard output.")] = None,
) -> None:
    """What to do when this cluster is lost, to be printed: its hosts, targets, keys, and the commands."""
    from kbootstrap.workflows.restore.runbook import runbook as workflow  # noqa: PLC0415

    text = workflow(options.load(inventory), inventory.absolute())
    if output is None:
        typer.echo(text.rstrip())
    else:
        options.write(output, text)


def export_keys(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to, such as a mounted stick.")],
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    identity: Identity = None,
    json_: options.Json = False,
) -> None:
    """Writes what must be kept off the cluster: its own keys, the inventory, the targets' secrets, in one file that is
    encrypted as backups are; and the runbook. Nothing secret is printed. With --identity, tries that key on it."""
    from kbootstrap.workflows.restore.export import export_keys as workflow  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.restore.export import exported_keys  # noqa: PLC0415
    from kbootstrap.workflows.restore.runbook import runbook as text_of  # noqa: PLC0415

    cluster = options.load(inventory)
    console = Console(stderr=json_)
    with watching(console) as emit:
        export = workflow(cluster, output, emit)
    book = output / f"{cluster.name}-runbook.md"
    options.write(book, text_of(cluster, inventory.absolute()))
    tried = identity is not None and bool(exported_keys(export.file, required_identity(identity), cluster.name))
    if json_:
        value = {"file": str(export.file), "sha256": export.sha256, "runbook": str(book), "holds": export.names}
        typer.echo(json.dumps({**value, "tried": tried}))
        return
    say = partial(console.print, highlight=False, soft_wrap=True)
    say(f"{escape(str(export.file))}: {len(export.names)} files, encrypted for {_recipients(cluster)}.")
    say(f"  SHA-256 {export.sha256}")
    say(f"{escape(str(book))}: what to do when the cluster is lost. Print it.")
    if tried:
        say(f"[green]✓[/] {escape(str(identity))} opens it.")
    say(
        "Keep the file away from the cluster and from this machine, twice. Keep the age private key away from the file:"
        " whoever has both is the cluster. Export again when keys, targets or recipients change."
    )


def _recipients(cluster: "Cluster") -> str:
    count = len(cluster.settings.backup.recipients)
    return "the recipient of the inventory" if count == 1 else f"each of the {count} recipients of the inventory"
