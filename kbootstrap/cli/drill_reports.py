"""What drills found: shown, written to files, and compared over time."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kbootstrap.cli import options
from kbootstrap.cli.drill_schedule import schedule
from kbootstrap.errors import InvalidInput

if TYPE_CHECKING:
    from kbootstrap.drills.history import Rates
    from kbootstrap.drills.result import DrillResult

Html = Annotated[Path | None, typer.Option("--report", help="Where to write the HTML report.")]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML there.")]
Metrics = Annotated[
    Path | None, typer.Option("--metrics", help="Write metrics there, for node_exporter's textfile collector.")
]


@dataclass(frozen=True, slots=True)
class Files:
    """Where reports go; the HTML goes into the state folder where nothing else is said."""

    html: Path | None = None
    junit: Path | None = None
    metrics: Path | None = None


def add(group: typer.Typer) -> None:
    """Adds the commands to the group `drill`."""
    group.command()(history)
    group.command()(report)
    group.command()(schedule)


def require_places(files: Files) -> None:
    """Says what cannot be written before anything is done. Raises InvalidInput."""
    for file in filter(None, (files.html, files.junit, files.metrics)):
        if not os.access(file.parent, os.W_OK | os.X_OK):
            raise InvalidInput(f"{file} cannot be written: there is no such folder, or it is another's")


def show(results: "Sequence[DrillResult]", files: Files, console: Console, *, json_: bool) -> None:
    """Prints what one run found, and writes its reports. The results are kept already (`drills.kept.keep`)."""
    from kbootstrap.drills import kept  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.drills.folder import drills_folder  # noqa: PLC0415
    from kbootstrap.drills.reports.junit import junit  # noqa: PLC0415
    from kbootstrap.drills.reports.metrics import metrics  # noqa: PLC0415
    from kbootstrap.drills.reports.page import html  # noqa: PLC0415
    from kbootstrap.drills.reports.terminal import terminal  # noqa: PLC0415
    from kbootstrap.drills.value import as_value  # noqa: PLC0415

    if not results:
        return
    folder = drills_folder(results[0].cluster)
    page = files.html or kept.page_file(folder, results)
    options.write(page, html(results).decode())
    if files.junit is not None:
        options.write(files.junit, junit(results))
    if files.metrics is not None:
        options.write_whole(files.metrics, metrics(kept.kept(folder)))
    if json_:
        values = [as_value(result) for result in results]
        typer.echo(json.dumps({"event": "Drills", "html": str(page), "results": values}))
    else:
        console.print(terminal(results), highlight=False)
        console.print(f"Report: {escape(str(page))}", highlight=False, soft_wrap=True)


def report(
    run: Annotated[str, typer.Argument(metavar="[RUN|latest]", help="Which run.")] = "latest",
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    html: Html = None,
    junit: Junit = None,
    metrics: Metrics = None,
    json_: options.Json = False,
) -> None:
    """Writes the reports of a past run again, from what is kept on this machine."""
    from kbootstrap.drills import kept  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.drills.folder import drills_folder  # noqa: PLC0415

    results = kept.of_run(drills_folder(options.load(inventory).name), run)
    show(results, Files(html, junit, metrics), Console(), json_=json_)


def history(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--faults-per-year",
            metavar="N|DRILL=N",
            help="How often such a fault is expected: for each drill, or for one (may be given again). Default: 1.",
        ),
    ] = None,
    drill: Annotated[list[str] | None, typer.Option("--drill", help="Only this one (may be given again).")] = None,
    json_: options.Json = False,
) -> None:
    """Compares the drills of all runs that are kept on this machine: outages, and the availability they allow."""
    from kbootstrap.drills import kept  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.drills.folder import drills_folder  # noqa: PLC0415
    from kbootstrap.drills.history import histories  # noqa: PLC0415
    from kbootstrap.drills.reports.past import as_value, terminal  # noqa: PLC0415

    rates = fault_rates(faults or [])
    results = kept.kept(drills_folder(options.load(inventory).name))
    found = [one for one in histories(results) if not drill or one.drill in drill]
    if json_:
        typer.echo(json.dumps(as_value(found, rates)))
    elif found:
        Console().print(terminal(found, rates), highlight=False)
    else:
        typer.echo("No drills are kept here: kbootstrap drill run, or drill suite.")


def fault_rates(words: Sequence[str]) -> "Rates":
    """What `--faults-per-year` says: N for each drill, DRILL=N for one. Raises InvalidInput."""
    from kbootstrap.drills.catalogue import named  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.drills.history import Rates  # noqa: PLC0415

    each, by_drill = Rates().each, {}
    for word in words:
        drill, _, number = word.rpartition("=")
        try:
            rate = float(number)
        except ValueError:
            rate = 0.0
        if not 0 < rate < float("inf"):
            raise InvalidInput(
                f"--faults-per-year: {word!r} says no number above 0", hint="e.g. 4, or vip-holder-power-off=12"
            )
        if drill:
            named([drill])
            by_drill[drill] = rate
        else:
            each = rate
    return Rates(each, by_drill)
