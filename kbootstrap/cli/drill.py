"""`drill`: failover rehearsals with a measured outage."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kbootstrap.cli import drill_reports, options
from kbootstrap.cli.bundle import unbundled
from kbootstrap.cli.console import watching
from kbootstrap.cli.drill_proof import verified_after, verified_before
from kbootstrap.cli.drill_reports import Files
from kbootstrap.cli.proof import Identity
from kbootstrap.errors import CheckFailed, PreflightFailed

if TYPE_CHECKING:
    from kbootstrap.drills.drill import Drill
    from kbootstrap.drills.result import DrillResult
    from kbootstrap.drills.runner import Order
    from kbootstrap.model.cluster import Cluster

Allowed = Annotated[
    str | None,
    typer.Option(
        "--yes-break-production", metavar="CLUSTER", help="Hurt this cluster although users depend on it: its name."
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--probe-rate", min=1, max=1000, help="Requests a second of each probe. Default: as the inventory says."
    ),
]

Verify = Annotated[
    bool | None,
    typer.Option(
        "--verify/--no-verify",
        help="Whether the tests of `verify` prove the steady state before and after. Default: with `suite`.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    drill = typer.Typer(name="drill", help="Failover drills with a measured outage.", no_args_is_help=True)
    drill.command("list")(list_)
    drill.command()(unbundled(run))
    drill.command()(unbundled(suite))
    drill_reports.add(drill)
    app.add_typer(drill)


def list_(inventory: options.Inventory = options.DEFAULT_INVENTORY, json_: options.Json = False) -> None:
    """Names the drills, their budgets, and which are not possible on this cluster."""
    from kbootstrap.drills.catalogue import DRILLS  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.drills.reports.words import allowed  # noqa: PLC0415

    cluster = options.load(inventory)
    if json_:
        typer.echo(json.dumps([_value(drill, cluster) for drill in DRILLS]))
        return
    table = Table("drill", "what happens", "budget", "", box=None, header_style="dim")
    for drill in DRILLS:
        budget = "\n".join(f"{rule.limit.what}: {allowed(rule.limit)}" for rule in drill.budget(cluster))
        why = drill.needs(cluster)
        table.add_row(drill.name, drill.title, budget, "" if why is None else f"[yellow]not here: {escape(why)}[/]")
    Console().print(table, highlight=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, whichever drills are run."""

    inventory: options.Inventory = options.DEFAULT_INVENTORY
    allowed: Allowed = None
    rate: Rate = None
    identity: Identity = None
    report: drill_reports.Html = None
    junit: drill_reports.Junit = None
    metrics: drill_reports.Metrics = None
    verify: Verify = None
    json_: options.Json = False

    @property
    def files(self) -> Files:
        return Files(self.report, self.junit, self.metrics)

    @property
    def order(self) -> "Order":
        from kbootstrap.drills.runner import Order  # noqa: PLC0415 - heavy; not for --help

        return Order(self.allowed, self.rate, self.identity and self.identity.expanduser().absolute())


def run(asked: Asked, names: Annotated[list[str], typer.Argument(help="Which drills, in this order.")]) -> int:
    """Runs drills, one after another; one that finds the cluster unsteady is refused.

    Exit code 7 when one fails, 5 when one is refused: nothing was done then.
    """
    from kbootstrap.drills.catalogue import named  # noqa: PLC0415 - heavy; not for --help

    cluster = options.load(asked.inventory)
    return _run(cluster, named(names), asked)


def suite(
    asked: Asked,
    without: Annotated[list[str] | None, typer.Option("--without", help="Leave this drill out.")] = None,
) -> int:
    """Runs all drills that are possible on this cluster, between two verifications."""
    from kbootstrap.drills.catalogue import DRILLS, named  # noqa: PLC0415 - heavy; not for --help

    cluster = options.load(asked.inventory)
    left_out = {drill.name for drill in named(without or [])}
    chosen = []
    for drill in DRILLS:
        why = "it was asked for" if drill.name in left_out else drill.needs(cluster)
        if why is None:
            chosen.append(drill)
        else:
            _leave_out(drill.name, why)
    return _run(cluster, chosen, asked, suite=True)


def _leave_out(drill: str, why: str) -> None:
    typer.echo(f"{drill} is left out: {why}", err=True)


def _run(cluster: "Cluster", drills: "Sequence[Drill]", asked: Asked, *, suite: bool = False) -> int:
    from kbootstrap.drills.kept import keep  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.drills.result import Verdict  # noqa: PLC0415
    from kbootstrap.drills.runner import run_drill  # noqa: PLC0415

    drill_reports.require_places(asked.files)
    console, order = Console(), asked.order
    results: list[DrillResult] = []
    verify = suite if asked.verify is None else asked.verify
    try:
        with watching(console, json_lines=asked.json_) as emit:
            before = verified_before(cluster, emit) if verify else None
            for drill in drills:
                result = run_drill(cluster, drill, order, emit)
                if suite and not result.possible:
                    _leave_out(drill.name, "; ".join(result.problems))
                    continue
                results.append(replace(result, series=results[0].run if results else result.run))
                keep(results[-1])
                if results[-1].verdict is Verdict.CUT_SHORT:
                    break
            if before is not None and results:
                results[-1] = verified_after(cluster, before, results[-1], emit)
                keep(results[-1])
    finally:
        drill_reports.show(results, asked.files, console, json_=asked.json_)
    verdicts = {result.verdict for result in results}
    if verdicts & {Verdict.FAILED, Verdict.CUT_SHORT}:
        return CheckFailed.exit_code
    return PreflightFailed.exit_code if Verdict.REFUSED in verdicts else 0


def _value(drill: "Drill", cluster: "Cluster") -> dict[str, object]:
    limits = [rule.limit for rule in drill.budget(cluster)]
    return {
        "name": drill.name,
        "title": drill.title,
        "budget": [{"what": one.what, "seconds": one.seconds, "probes": list(one.probes)} for one in limits],
        "impossible": drill.needs(cluster),
    }
