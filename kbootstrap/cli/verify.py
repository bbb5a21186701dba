"""`verify`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kbootstrap.cli import options
from kbootstrap.cli.console import watching
from kbootstrap.errors import CheckFailed

if TYPE_CHECKING:
    from kbootstrap.model.cluster import Cluster
    from kbootstrap.verify.report import Report


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(verify)


def verify(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    limit: options.Limit = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML there.")] = None,
    hosts_only: Annotated[bool, typer.Option("--hosts-only", help="Nothing with pods of our own.")] = False,
    live_only: Annotated[bool, typer.Option("--live-only", help="Only what is done with pods of our own.")] = False,
    minimum_days: Annotated[int, typer.Option(min=0, help="Certificates must still be valid for as many days.")] = 14,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every test.")] = False,
    json_: options.Json = False,
) -> int:
    """Proves that hosts and cluster are what the inventory says. Exit code 7 if they are not."""
    from kbootstrap.verify import verification  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.verify.junit import junit as as_junit  # noqa: PLC0415

    verification.prepare()
    cluster = options.load(inventory)
    scope = verification.scope(
        cluster, tuple(limit or ()), hosts=not live_only, live=not hosts_only, minimum_days=minimum_days
    )
    with watching(Console(stderr=True)) as emit:
        report = verification.verify_cluster(cluster, scope, emit)
    if junit is not None:
        options.write(junit, as_junit(report))
    _show(report, json_=json_, verbose=verbose)
    return 0 if report.ok else CheckFailed.exit_code


def verified(cluster: "Cluster", *, json_: bool) -> bool:
    """Verifies hosts and cluster at the end of another command, and shows it; whether all is well."""
    from kbootstrap.verify import verification  # noqa: PLC0415 - heavy; not for --help

    verification.prepare()
    with watching(Console(stderr=True)) as emit:
        report = verification.verify_cluster(cluster, verification.scope(cluster, ()), emit)
    _show(report, json_=json_, verbose=False)
    return report.ok


def _show(report: "Report", *, json_: bool, verbose: bool) -> None:
    from kbootstrap.verify.summary import summary  # noqa: PLC0415

    if json_:
        typer.echo(json.dumps(report.as_json()))
        return
    console = Console()
    for line in summary(report, verbose=verbose):
        console.print(line, highlight=False, soft_wrap=True)
