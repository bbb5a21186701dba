"""`kubeconfig`."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kbootstrap.cli import options

STANDARD_OUTPUT = Path("-")

_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(kubeconfig)


def _lifetime(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None or not int(match[1]):
        raise typer.BadParameter(f"{text!r} is no duration: write a number and s, m, h or d, such as 8h")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def kubeconfig(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, '-' for standard output. [default: NAME.kubeconfig]"),
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Whom the API takes its bearer for. [default: kubernetes-admin]")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group",
            help="Group of that user (may be given again). [default: system:masters without --user, else none]",
        ),
    ] = None,
    ttl: Annotated[str, typer.Option(help="How long it is valid: a number and s, m, h or d.")] = "365d",
    merge: Annotated[bool, typer.Option("--merge", help="Add it to the file that is there.")] = False,
) -> None:
    """Writes a kubeconfig with a client certificate of its own, for you or for somebody else.

    The default is an administrator whom no RBAC rule limits. For anybody else give --user, --group, and a short
    --ttl: a certificate cannot be revoked.
    """
    from kbootstrap.components.admin import ADMIN_GROUP, ADMIN_USER  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.kubeconfig import Wanted, make_kubeconfig, write_kubeconfig  # noqa: PLC0415

    lifetime = _lifetime(ttl)
    cluster = options.load(inventory)
    groups = tuple(group or ()) if user or group else (ADMIN_GROUP,)
    text = make_kubeconfig(cluster, Wanted(user or ADMIN_USER, groups, lifetime))
    if output == STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    path = output or Path(f"{cluster.name}.kubeconfig")
    write_kubeconfig(text, path, merge=merge)
    console = Console()
    console.print(
        f"Written: {path}, valid for {ttl}. Try: kubectl --kubeconfig={path} get nodes", highlight=False, soft_wrap=True
    )
