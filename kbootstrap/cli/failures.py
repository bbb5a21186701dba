"""How expected failures are shown: what happened, where, what was run, what to do next."""

import json
from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape

from kbootstrap.errors import HostsFailed, InvalidInput, KbootstrapError, PreflightFailed, Problem

SHOWN_OUTPUT_LINES = 40


def show_failure(error: KbootstrapError, console: Console) -> None:
    """Prints an error for people."""
    for line in _lines(error):
        console.print(line, highlight=False, soft_wrap=True)


def failure_as_json(error: KbootstrapError) -> str:
    """An error for machines."""
    return json.dumps({"error": _value(error)})


def _lines(error: KbootstrapError) -> Iterator[str]:
    yield f"[bold red]error:[/] {escape(str(error))}"
    if isinstance(error, HostsFailed):
        for failure in error.failures:
            yield from (f"  {line}" for line in _lines(failure))
    if isinstance(error, InvalidInput | PreflightFailed):
        for number, problem in enumerate(error.problems, 1):
            yield from _problem_lines(number, problem)
    if error.command:
        yield f"  [dim]command:[/] {escape(error.command)}"
    if error.output and error.output.strip():
        lines = error.output.strip().splitlines()
        yield "  [dim]output:[/]"
        yield from (f"    {escape(line)}" for line in lines[-SHOWN_OUTPUT_LINES:])
    if error.hint:
        yield f"  [bold]next:[/] {escape(error.hint)}"


def _problem_lines(number: int, problem: Problem) -> Iterator[str]:
    place = f"{problem.place}: " if problem.place else ""
    yield f"  {number}. {escape(place)}{escape(problem.message)}"
    if problem.excerpt:
        yield from (f"     [dim]{escape(line)}[/]" for line in problem.excerpt.splitlines())
    if problem.hint:
        yield f"     {escape(problem.hint)}"


def _value(error: KbootstrapError) -> dict[str, object]:
    value: dict[str, object] = {
        "type": type(error).__name__,
        "message": error.message,
        "host": error.host,
        "command": error.command,
        "output": error.output,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }
    if isinstance(error, HostsFailed):
        value["failures"] = [_value(failure) for failure in error.failures]
    if isinstance(error, InvalidInput | PreflightFailed):
        value["problems"] = [
            {
                "message": problem.message,
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
                "hint": problem.hint,
            }
            for problem in error.problems
        ]
    return value
