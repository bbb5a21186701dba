"""What drills found, for a terminal: a line per drill, and below it why it did not pass. Of a single one, all notes."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from kbootstrap.drills.reports.words import allowed, duration, found, ledger_sentence, tally
from kbootstrap.drills.result import DrillResult, Measured, Verdict

MARKS = {
    Verdict.PASSED: "[green]✓[/]",
    Verdict.FAILED: "[red]✗[/]",
    Verdict.REFUSED: "[yellow]-[/]",
    Verdict.CUT_SHORT: "[yellow]![/]",
}


def terminal(results: Sequence[DrillResult]) -> RenderableType:
    """The table, the reasons, and the sum of it."""
    return Group(_table(results), *_reasons(results), _sum(results))


def _table(results: Sequence[DrillResult]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("drill", no_wrap=True)
    table.add_column("hurt", overflow="fold")
    table.add_column("measured (allowed)")
    table.add_column("steady again", justify="right", no_wrap=True)
    for result in results:
        limits = "\n".join(map(_limit, result.measured)) or f"[yellow]{result.verdict}[/]"
        hurt = escape(", ".join(result.hosts))
        table.add_row(f"{MARKS[result.verdict]} {escape(result.drill)}", hurt, limits, duration(result.recovery))
    return table


def _limit(measured: Measured) -> str:
    words = f"{escape(measured.limit.what)} {found(measured)} ({allowed(measured.limit)})"
    return words if measured.within else f"[red]{words}[/]"


def _reasons(results: Sequence[DrillResult]) -> Iterator[str]:
    alone = len(results) == 1
    for result in results:
        colour = "red" if result.verdict is Verdict.FAILED else "yellow"
        for problem in result.problems:
            yield f"{MARKS[result.verdict]} [bold]{escape(result.drill)}[/]: [{colour}]{escape(problem)}[/]"
        for remark in (*result.remarks, *(result.notes if alone else ())):
            yield f"  [dim]{escape(result.drill)}: {escape(remark)}[/]"


def _sum(results: Sequence[DrillResult]) -> str:
    passed = all(result.verdict is Verdict.PASSED for result in results)
    sentence = "; ".join(filter(None, (tally(results), ledger_sentence(results))))
    return f"[bold {'green' if passed else 'red'}]{escape(sentence)}[/]"
