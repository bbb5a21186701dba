"""A report for people, as lines in rich's markup: by subject and suite, then every failure explained."""

from collections.abc import Iterator, Sequence

from rich.markup import escape

from kbootstrap.verify.report import Outcome, Report, Verdict, by_suite

SHOWN_OUTPUT_LINES = 8

_MARKS = {Verdict.PASSED: "[green]✓[/]", Verdict.FAILED: "[red]✗[/]", Verdict.SKIPPED: "[dim]-[/]"}


def summary(report: Report, *, verbose: bool = False) -> Iterator[str]:
    """The report; with `verbose` every test by its name."""
    width = max((len(subject) for subject in report.subjects), default=0)
    for subject in report.subjects:
        outcomes = [outcome for outcome in report.outcomes if outcome.subject == subject]
        mark = _MARKS[_worst(outcomes)]
        suites = "  ".join(_suite(suite, tests) for suite, tests in by_suite(outcomes).items())
        yield f"{mark} [bold]{escape(subject):<{width}}[/]  {suites}"
        if verbose:
            yield from (_line(outcome) for outcome in outcomes)
    for outcome in report.failures:
        yield ""
        yield from _explained(outcome)
    yield ""
    yield from (f"[dim]{escape(text)}[/]" for text in report.left_out)
    yield _verdict(report)


def _worst(outcomes: Sequence[Outcome]) -> Verdict:
    return next((v for v in (Verdict.FAILED, Verdict.PASSED) if any(o.verdict is v for o in outcomes)), Verdict.SKIPPED)


def _suite(suite: str, outcomes: Sequence[Outcome]) -> str:
    looked_at = [outcome for outcome in outcomes if outcome.verdict is not Verdict.SKIPPED]
    failures = sum(outcome.verdict is Verdict.FAILED for outcome in looked_at)
    if failures:
        return f"[red]{escape(suite)} {failures} of {len(looked_at)} failed[/]"
    return f"{escape(suite)} [dim]{len(looked_at) or '-'}[/]"


def _line(outcome: Outcome) -> str:
    skipped = (
        f" [dim]({escape(outcome.finding.message)})[/]"
        if outcome.verdict is Verdict.SKIPPED and outcome.finding
        else ""
    )
    return f"    {_MARKS[outcome.verdict]} [dim]{escape(outcome.suite)}:[/] {escape(outcome.title)}{skipped}"


def _explained(outcome: Outcome) -> Iterator[str]:
    yield f"[red]✗[/] [bold]{escape(outcome.subject)}[/] {escape(outcome.suite)}: {escape(outcome.title)}"
    if outcome.finding is None:
        return
    yield f"    {escape(outcome.finding.message)}"
    for name, value in outcome.finding.details:
        lines = value.splitlines() or [""]
        if len(lines) > 1:
            yield f"    [dim]{name}:[/]"
            yield from (f"      {escape(line)}" for line in lines[-SHOWN_OUTPUT_LINES:])
        else:
            yield f"    [dim]{name + ':':<10}[/] {escape(lines[0])}"


def _verdict(report: Report) -> str:
    failures, passed, skipped = (report.count(v) for v in (Verdict.FAILED, Verdict.PASSED, Verdict.SKIPPED))
    if not report.outcomes:
        return "[red]Nothing was looked at.[/]"
    left = f", {skipped} left out" if skipped else ""
    if failures:
        return f"[bold red]{failures} of {failures + passed} tests failed[/]{left} ({report.seconds:.1f} s)."
    return f"[bold green]All {passed} tests passed[/]{left} ({report.seconds:.1f} s)."
