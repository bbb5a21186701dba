"""`preflight`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, get_args

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kbootstrap.cli import options
from kbootstrap.cli.console import watching
from kbootstrap.errors import PreflightFailed

if TYPE_CHECKING:
    from kbootstrap.workflows.fitness.finding import Finding
    from kbootstrap.workflows.inspection import Inspected, Report


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(preflight)


def preflight(inventory: options.Inventory = options.DEFAULT_INVENTORY, json_: options.Json = False) -> int:
    """Reads the hosts and tells whether they are fit: system, clock, disks, ports, network. Exit code 5 if not."""
    from kbootstrap.workflows.inspection import deep_preflight  # noqa: PLC0415 - heavy; not for --help

    cluster = options.load(inventory)
    with watching(Console(stderr=True)) as emit:
        report = deep_preflight(cluster, emit)
    if json_:
        typer.echo(json.dumps(_value(report)))
    else:
        console = Console()
        console.print(_table(report))
        _print_findings(report, console)
    return PreflightFailed.exit_code if report.errors else 0


def _table(report: "Report") -> Table:
    topics = _topics()
    table = Table("host", "system", "cpus", "memory", *(topic for topic in topics if topic != "system"))
    table.columns[2].justify = table.columns[3].justify = "right"
    for host in report.hosts:
        marks = [_mark(host, topic) for topic in topics if topic != "system"]
        table.add_row(escape(host.host), *_machine(host), *marks)
    return table


def _topics() -> tuple[str, ...]:
    from kbootstrap.workflows.fitness.finding import Topic  # noqa: PLC0415

    return get_args(Topic)


def _machine(host: "Inspected") -> tuple[str, str, str]:
    identity = host.identity
    if identity is None:
        return "[dim]unknown[/]", "", ""
    system = f"{_mark(host, 'system')} {escape(identity.os)} {escape(identity.os_version)}, {escape(identity.kernel)}"
    return system, str(identity.cpus), f"{identity.memory_bytes / 2**30:.1f} GiB"


def _mark(host: "Inspected", topic: str) -> str:
    if host.identity is None and topic != "access":
        return "[dim]?[/]"
    found = [finding.stops for finding in host.findings if finding.topic == topic]
    return "[green]✓[/]" if not found else "[red]✗[/]" if any(found) else "[yellow]![/]"


def _print_findings(report: "Report", console: Console) -> None:
    """What is the same on several hosts is said once."""
    groups: dict[tuple[bool, str, str], list[str]] = {}
    for finding in (finding for host in report.hosts for finding in host.findings):
        groups.setdefault(_group(finding), []).append(finding.host)
    for (passes, message, hint), hosts in sorted(groups.items(), key=lambda group: group[0][0]):
        mark = "[yellow]![/]" if passes else "[red]✗[/]"
        line = f"{mark} [bold]{escape(', '.join(hosts))}[/]: {escape(message)}"
        console.print(line, highlight=False, soft_wrap=True)
        console.print(f"    [dim]{escape(hint)}[/]", highlight=False, soft_wrap=True)
    verdict = "not fit" if report.errors else "fit"
    console.print(
        f"{len(report.hosts)} hosts are {verdict}: {report.errors} errors, {report.warnings} warnings"
        f" ({report.seconds:.1f} s).",
        highlight=False,
    )


def _group(finding: "Finding") -> tuple[bool, str, str]:
    return not finding.stops, finding.message, finding.hint


def _value(report: "Report") -> dict[str, object]:
    return {
        "fit": not report.errors,
        "errors": report.errors,
        "warnings": report.warnings,
        "seconds": round(report.seconds, 3),
        "hosts": [
            {
                "host": host.host,
                "identity": _identity(host),
                "findings": [asdict(finding) for finding in host.findings],
            }
            for host in report.hosts
        ],
    }


def _identity(host: "Inspected") -> dict[str, object] | None:
    if host.identity is None:
        return None
    identity = host.identity
    return {
        "os": identity.os,
        "os_version": identity.os_version,
        "kernel": identity.kernel,
        "arch": identity.arch,
        "cpus": identity.cpus,
        "memory_bytes": identity.memory_bytes,
        "machine_id": identity.machine_id,
    }
