"""`upgrade`."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kbootstrap.cli import options
from kbootstrap.cli.console import watching
from kbootstrap.cli.observed import show_report
from kbootstrap.cli.timing import timed
from kbootstrap.cli.up import CHANGES_PENDING, plan_value, show_outcome
from kbootstrap.cli.verify import verified
from kbootstrap.errors import CheckFailed, InvalidInput

if TYPE_CHECKING:
    from kbootstrap.model.cluster import Cluster
    from kbootstrap.model.versions import Version
    from kbootstrap.probes.recording import Observation
    from kbootstrap.probes.report import Report
    from kbootstrap.workflows.upgrade import Order, Rollout, Upgraded


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(upgrade)


def upgrade(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    to: Annotated[str | None, typer.Option("--to", help="Version to go to; default: the inventory's.")] = None,
    back: Annotated[bool, typer.Option("--back", help="Go to the version before the present one.")] = False,
    only_plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, host by host.")] = False,
    batch: options.Batch = None,
    drain: Annotated[
        bool, typer.Option("--drain/--no-drain", help="Take hosts out of the proxies, and pods off nodes, first.")
    ] = True,
    accept_removed_apis: Annotated[
        bool, typer.Option("--accept-removed-apis", help="Go on although removed API versions are in use.")
    ] = False,
    probes: Annotated[
        bool, typer.Option("--probes/--no-probes", help="Watch every moment what clients see of it.")
    ] = True,
    probe_rate: Annotated[
        float | None, typer.Option("--probe-rate", min=1, max=1000, help="Requests a second of each probe.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Verify hosts and cluster at the end.")] = True,
    report: Annotated[
        Path | None, typer.Option("--report", help="Where to write the report (HTML, and JSON beside it).")
    ] = None,
    keep_inventory: Annotated[
        bool, typer.Option("--keep-inventory", help="Do not write the version into the inventory at the end.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every change.")] = False,
    json_: options.Json = False,
) -> int:
    """Another version of Kubernetes, a host at a time. Run it again to go on after a failure.

    Exit code 7 when it is done, and clients have noticed or something is not as it should be.
    """
    from kbootstrap.engine.journal import state_folder  # noqa: PLC0415
    from kbootstrap.workflows import upgrade as workflow  # noqa: PLC0415 - heavy; not for --help

    cluster = options.load(inventory)
    order = replace(
        _order(to, back, batch), drain=drain, probes=probes, rate=probe_rate, removed_apis=accept_removed_apis
    )
    if only_plan:
        with watching(Console(stderr=True)) as emit:
            rollout = workflow.plan_upgrade(cluster, order, emit)
        _show_rollout(rollout, json_=json_)
        return CHANGES_PENDING if rollout.plan.changes else 0
    if report is not None:
        options.write(report, "")  # what cannot be written is said before anything is touched
    started = time.monotonic()
    console = Console()
    with timed(console, json_lines=json_, verbose=verbose) as (emit, timings):
        done = workflow.upgrade(cluster, order, emit)
    unnoticed = True
    if done.seen is not None:
        seen = _report(cluster, done, done.seen)
        unnoticed = seen.summary.unnoticed
        show_report(seen, report or state_folder(cluster.name) / f"{done.run}.html", console, json_=json_)
    if done.failure is not None:
        raise done.failure
    show_outcome(done.rollout.plan, timings, time.monotonic() - started, console, json_=json_)
    target = done.rollout.route.target
    if not json_:
        console.print(f"Cluster [bold]{escape(cluster.name)}[/] runs Kubernetes {target}.", highlight=False)
    if not keep_inventory:
        _write_version(inventory, target, console, json_=json_)
    well = not verify or verified(replace(cluster, kubernetes=target), json_=json_)
    return 0 if unnoticed and well else CheckFailed.exit_code


def _report(cluster: "Cluster", done: "Upgraded", seen: "Observation") -> "Report":
    from kbootstrap.probes.report import Report  # noqa: PLC0415

    way = done.rollout.route
    facts = (
        ("cluster", cluster.name),
        ("Kubernetes", f"{way.origin} -> {way.target}"),
        ("hosts", f"{len(cluster.control_planes)} control planes, {len(cluster.nodes)} nodes"),
        ("run", done.run),
        ("outcome", str(done.failure) if done.failure else "done"),
    )
    return Report.of(f"Upgrade of {cluster.name} from {way.origin} to {way.target}", facts, seen)


def _order(to: str | None, back: bool, batch: str | None) -> "Order":
    from kbootstrap.model.versions import Version  # noqa: PLC0415
    from kbootstrap.workflows.upgrade import Order  # noqa: PLC0415

    if to is not None and back:
        raise InvalidInput("say --to or --back, not both")
    try:
        target = None if to is None else Version.parse(to)
    except ValueError as error:
        raise InvalidInput(f"--to: {error}") from error
    return Order(target, back, options.batch_size(batch))


def _write_version(inventory: Path, target: "Version", console: Console, *, json_: bool) -> None:
    """Into the inventory. One that cannot be changed is for the user to change: the cluster is what it should be."""
    from kbootstrap.model.edit import set_version  # noqa: PLC0415

    try:
        changed = set_version(inventory, target)
    except InvalidInput as error:
        typer.echo(f"warning: {error}; write kubernetes: {target} into it yourself", err=True)
        return
    if changed and not json_:
        console.print(f"{escape(str(inventory))} now says kubernetes: {target}.", highlight=False)


def _show_rollout(rollout: "Rollout", *, json_: bool) -> None:
    if json_:
        typer.echo(json.dumps({**plan_value(rollout.plan), **_rollout_value(rollout)}))
        return
    console = Console()
    way = rollout.route
    console.print(f"Kubernetes [bold]{way.origin} -> {way.target}[/]", highlight=False)
    console.print(_changes_table(rollout))
    if rollout.stages:
        console.print(_skew_table(rollout))
    hosts = len({task.host for task in rollout.plan.tasks if task.changes})
    summary = f"{rollout.plan.changes} changes on {hosts} hosts" if rollout.plan.changes else "Nothing to change"
    console.print(f"[bold]{summary}.[/]", highlight=False)


def _changes_table(rollout: "Rollout") -> Table:
    table = Table("phase", "hosts, in this order", "changes", "what", box=None, header_style="dim")
    for phase in rollout.plan.playbook.phases:
        tasks = [task for task in rollout.plan.tasks if task.phase == phase.phase and task.changes]
        if not tasks:
            continue
        titles = dict.fromkeys(change.title for task in tasks for change in task.changes if change.disrupts)
        table.add_row(
            phase.phase,
            (", " if not phase.rolling else " -> ").join(task.host for task in tasks),
            str(sum(len(task.changes) for task in tasks)),
            ", ".join(titles),
        )
    return table


def _skew_table(rollout: "Rollout") -> Table:
    from kbootstrap.model.skew import PARTS  # noqa: PLC0415

    table = Table("after", "hosts", *PARTS, box=None, header_style="dim")
    for stage in rollout.stages:
        seen = {
            part: sorted({str(parts[part]) for parts in stage.installed.values() if part in parts}) for part in PARTS
        }
        table.add_row(stage.phase, ", ".join(stage.hosts), *(" ".join(seen[part]) for part in PARTS))
    return table


def _rollout_value(rollout: "Rollout") -> dict[str, object]:
    return {
        "from": str(rollout.route.origin),
        "to": str(rollout.route.target),
        "stages": [
            {
                "phase": stage.phase,
                "hosts": list(stage.hosts),
                "parts": list(stage.parts),
                "installed": {
                    host: {part: str(version) for part, version in parts.items()}
                    for host, parts in stage.installed.items()
                },
            }
            for stage in rollout.stages
        ],
    }
