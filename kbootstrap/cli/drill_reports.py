"""What drills found: shown, written to files, and compared over time."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from kbootstrap.drills.result import DrillResult

Html = Annotated[Path | None, typer.Option("--report", help="Write the HTML report there too.")]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML there.")]
Metrics = Annotated[
    Path | None, typer.Option("--metrics", help="Write metrics there, for node_exporter's textfile collector.")
]


@dataclass(frozen=True, slots=True)
class Files:
    """Where reports go, besides the state folder."""

    html: Path | None = None
    junit: Path | None = None
    metrics: Path | None = None


def add(group: typer.Typer) -> None:
    """Adds the commands to the group `drill`."""


def show(results: "Sequence[DrillResult]", files: Files, console: Console, *, json_: bool) -> None:
    """Prints what one run found, and writes its reports. The results are kept already (`drills.kept.keep`)."""
    from kbootstrap.drills.reports.terminal import terminal  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.drills.value import as_value  # noqa: PLC0415

    if json_:
        typer.echo(json.dumps({"event": "Drills", "results": [as_value(result) for result in results]}))
    else:
        console.print(terminal(results), highlight=False)
