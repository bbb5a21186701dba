"""`status`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kbootstrap.cli import options
from kbootstrap.cli.words import age
from kbootstrap.errors import CheckFailed

if TYPE_CHECKING:
    from kbootstrap.drills.result import DrillResult
    from kbootstrap.workflows.diagnosis import Trouble
    from kbootstrap.workflows.status import Part, Status

GOOD, BAD, UNKNOWN = "[green]✓[/]", "[red]✗[/]", "[yellow]?[/]"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(status)


def status(inventory: options.Inventory = options.DEFAULT_INVENTORY, json_: options.Json = False) -> int:
    """Shows on one screen how the cluster is. Exit code 7 when something is wrong, with what to do next."""
    from kbootstrap.workflows.diagnosis import troubles  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.status import read_status  # noqa: PLC0415

    cluster = options.load(inventory)
    found = read_status(cluster)
    wrong = troubles(found, cluster.settings)
    drilled = _newest_drills(cluster.name)
    if json_:
        value = {
            "healthy": not wrong,
            "problems": [asdict(trouble) for trouble in wrong],
            "status": asdict(found),
            "drills": [_drilled_value(result) for result in drilled],
        }
        typer.echo(json.dumps(value, default=str))
    else:
        console = Console()
        show_status(found, console, drilled)
        show_troubles(wrong, console)
    return CheckFailed.exit_code if wrong else 0


def _newest_drills(cluster: str) -> "Sequence[DrillResult]":
    from kbootstrap.drills.folder import drills_folder  # noqa: PLC0415 - heavy; not for --help

    folder = drills_folder(cluster)
    if not folder.is_dir():
        return ()
    from kbootstrap.drills.kept import latest  # noqa: PLC0415 - a tenth of a second, where there is nothing to read

    return latest(folder)


def show_status(found: "Status", console: Console, drilled: "Sequence[DrillResult]" = ()) -> None:
    """Prints the screen; `drilled` are the newest drills that this machine knows of."""
    console.print(f"[bold]{escape(found.cluster)}[/]  Kubernetes {found.version}", highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for title, lines in (
        ("endpoint", _endpoint(found)),
        ("etcd", _etcd(found)),
        ("control plane", _control_plane(found)),
        ("nodes", _nodes(found)),
        ("certificates", _certificates(found)),
        ("backups", _backups(found)),
        ("drills", _drills(found, drilled)),
        ("last run", _last_run(found)),
        ("unreachable", (f"{BAD} {escape(host)}: {escape(unread.why)}" for host, unread in found.unreachable.items())),
    ):
        for number, line in enumerate(lines):
            table.add_row("" if number else title, line)
    console.print(table, highlight=False)


def show_troubles(wrong: "list[Trouble]", console: Console) -> None:
    """Prints what is wrong and what to do next."""
    if not wrong:
        console.print("[green]healthy[/]")
        return
    console.print("[bold red]problems:[/]")
    for trouble in wrong:
        line = f"  {BAD} [bold]{escape(trouble.where)}[/]: {escape(trouble.what)}"
        console.print(line, highlight=False, soft_wrap=True)
        console.print(f"    [dim]next: {escape(trouble.next)}[/]", highlight=False, soft_wrap=True)


def _endpoint(found: "Status") -> Iterator[str]:
    endpoint = found.endpoint
    asked = len(endpoint.answered) + len(endpoint.failed)
    if not found.hosts_read:
        yield f"{UNKNOWN} {escape(endpoint.address)}: no host can be asked"
    elif endpoint.seconds is None:
        yield f"{BAD} {escape(endpoint.address)} answers none of {asked} hosts"
    else:
        all_of_them = f"{len(endpoint.answered)} of {asked} hosts"
        mark = BAD if endpoint.failed else GOOD
        yield f"{mark} {escape(endpoint.address)} answers {all_of_them} in {endpoint.seconds * 1000:.0f} ms"
    if found.vip is not None:
        holders = ", ".join(found.vip_holders)
        mark = GOOD if len(found.vip_holders) == 1 else UNKNOWN if found.unreachable and not holders else BAD
        yield f"{mark} VIP {found.vip} on {escape(holders) or 'none of the hosts that can be read'}"
    for one in found.forwarding:
        table = one.server
        servers = ", ".join(f"{server.address} ({server.weight})" for server in table.servers) if table else ""
        mark = GOOD if servers else BAD
        how = f"{table.scheduler}, {table.servers[0].method}" if table and table.servers else "no real server"
        yield f"{mark} {escape(one.host)} forwards {one.address} ({how}) to {servers or 'nobody'}"
    for server in found.passed_over:
        where = f"for the proxies of {', '.join(server.hosts)}"
        yield f"{UNKNOWN} apiserver {escape(server.server)} is {server.state} {escape(where)}: {escape(server.reason)}"


def _etcd(found: "Status") -> Iterator[str]:
    newest = max((member.raft_index for member in found.members.values() if member), default=0)
    for host, member in found.members.items():
        if member is None:
            yield f"{_silent(found, host)} {escape(host):<10} unknown: {_why_silent(found, host)}"
            continue
        role = "leader" if member.member == member.leader else "learner" if member.learner else "member"
        alarms = f"  [red]{escape('; '.join(member.alarms))}[/]" if member.alarms else ""
        size = f"{member.db_bytes / 2**20:.1f} MiB ({member.db_used_bytes / 2**20:.1f} used)"
        lag = newest - member.raft_index
        yield f"{GOOD} {escape(host):<10} {role:<7} {size}, {lag} entries behind, {member.version}{alarms}"


def _control_plane(found: "Status") -> Iterator[str]:
    for unit in dict.fromkeys(part.unit for part in found.parts):
        parts = "  ".join(_part(part) for part in found.parts if part.unit == unit)
        yield f"{unit.removesuffix('.service'):<24} {parts}"


def _part(part: "Part") -> str:
    mark = UNKNOWN if part.health is None else GOOD if part.active == "active" and part.health.ok else BAD
    return f"{mark} {escape(part.host)}{' (leads)' if part.leads else ''}"


def _nodes(found: "Status") -> Iterator[str]:
    if found.api is None:
        yield f"{UNKNOWN} unknown: the API gave no list of them"
        return
    ready = sum(node.ready == "True" for node in found.api.nodes)
    yield f"{GOOD if ready == len(found.api.nodes) else BAD} {ready} of {len(found.api.nodes)} Ready"
    for node in found.api.nodes:
        days = (found.seen_at - node.created).days
        state = "Ready" if node.ready == "True" else "NotReady" if node.ready == "False" else "silent"
        more = "" if node.schedulable else ", cordoned"
        mark = UNKNOWN if node.name in found.unreachable else GOOD if node.ready == "True" else BAD
        yield f"{mark} {escape(node.name):<10} {state:<8} {escape(node.version)}, {days} d{more}"
    for name in found.missing_nodes:
        yield f"{BAD} {escape(name):<10} missing"


def _certificates(found: "Status") -> Iterator[str]:
    known = [(expiry, host) for host, expiry in found.certificates.items() if expiry is not None]
    if not known:
        yield f"{UNKNOWN} unknown: none could be read"
        return
    first, host = min(known, key=lambda pair: pair[0].not_after)
    yield f"{first.days_left(found.seen_at)} days left: {first.path} on {escape(host)} is the first to expire"


def _backups(found: "Status") -> Iterator[str]:
    if found.backups is None:
        yield "none are made: the inventory has no recipients for them"
        return
    point = found.backups.recovery_point
    if point is None:
        yield f"{UNKNOWN if found.unreachable else BAD} no good one is known"
    else:
        proven = "proven" if point.proven else "unproven"
        old = age((found.seen_at - point.made).total_seconds())
        late = ", [red]overdue[/]" if found.backups.overdue else ""
        mark = BAD if found.backups.overdue else GOOD
        yield f"{mark} last good {old} ago: {point.id} on {escape(', '.join(point.good))} ({proven}){late}"
    for host, last in found.backups.runs.items():
        if not last.ok:
            yield f"{BAD} {escape(host):<10} the last one failed"


def _drills(found: "Status", drilled: "Sequence[DrillResult]") -> Iterator[str]:
    for host, mark in found.drills.items():
        if found.lock is not None and found.lock.run == mark.run:
            yield f"[yellow]under way[/]: {escape(mark.drill)} hurts {escape(host)} since {escape(mark.since)}"
            continue
        healed = f"the host has undone it at {mark.undone}" if mark.undone else "what it did is not undone yet"
        yield f"{BAD} {escape(host):<10} {escape(mark.drill)} by {escape(mark.who)} was cut short: {escape(healed)}"
    elsewhere = [*_drilled_elsewhere(found, drilled)]
    yield from elsewhere
    if not drilled:
        if not elsewhere:
            yield "none are known"
        return
    old = age((found.seen_at - drilled[-1].began).total_seconds())
    failed = [result for result in drilled if result.verdict != "passed"]
    passed = len(drilled) - len(failed)
    yield f"{BAD if failed else GOOD} {passed} of {len(drilled)} passed, {old} ago: run {escape(drilled[0].run)}"
    for result in failed:
        why = next(iter(result.problems), "").partition("\n")[0]
        yield f"{BAD} {escape(result.drill)} {result.verdict}{escape(f': {why}' if why else '')}"


def _drilled_elsewhere(found: "Status", drilled: "Sequence[DrillResult]") -> Iterator[str]:
    """Drills that are newer than those which this machine has the results of, as the hosts have noted them. One that
    has no end is told of by its mark.
    """
    from kbootstrap.workflows.past import CUT_SHORT  # noqa: PLC0415 - heavy; not for --help

    known = drilled[-1].began.isoformat(timespec="seconds") if drilled else ""
    ours = {result.run for result in drilled}
    for run in found.drilled:
        if run.at <= known or run.run in ours or run.outcome == CUT_SHORT:
            continue
        old = age((found.seen_at - datetime.fromisoformat(run.at)).total_seconds())
        passed = run.outcome == "ok"
        ended = "passed" if passed else run.outcome
        what = f"{run.drill} {ended}, {old} ago by {run.who}"
        yield f"{GOOD if passed else BAD} {escape(': '.join(filter(None, (what, run.error))))}"


def _drilled_value(result: "DrillResult") -> dict[str, object]:
    return {
        "drill": result.drill,
        "run": result.run,
        "began": result.began.isoformat(timespec="seconds"),
        "verdict": result.verdict,
        "problems": list(result.problems),
    }


def _last_run(found: "Status") -> Iterator[str]:
    if found.lock is not None:
        yield f"[yellow]under way[/]: {escape(found.lock.command)} by {escape(found.lock.who)} since {found.lock.since}"
        return
    run = found.last_run
    if run is not None:
        yield f"{escape(run.command)} by {escape(run.who)}, {run.at}: {run.outcome}, {run.changes} changes"
    else:
        yield "none is noted" if found.hosts_read else f"{UNKNOWN} unknown: no host can be asked"


def _silent(found: "Status", host: str) -> str:
    return UNKNOWN if host in found.unreachable else BAD


def _why_silent(found: "Status", host: str) -> str:
    return "the host cannot be read" if host in found.unreachable else "the member does not answer"
