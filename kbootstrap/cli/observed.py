"""What clients saw of a run: on the terminal, and as files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from kbootstrap.cli import options

if TYPE_CHECKING:
    from kbootstrap.probes.report import Report


def show_report(report: "Report", file: Path, console: Console, *, json_: bool) -> None:
    """Writes the HTML to `file` and the JSON beside it, and prints the summary."""
    from kbootstrap.probes.page import html  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.probes.report import as_json, terminal  # noqa: PLC0415

    options.write(file, html(report).decode())
    options.write(file.with_suffix(".json"), as_json(report) + "\n")
    if json_:
        typer.echo(json.dumps({"event": "Report", "html": str(file), **json.loads(as_json(report))}))
    else:
        console.print(terminal(report))
        console.print(f"Report: {escape(str(file))}", highlight=False, soft_wrap=True)
