"""What drills found as JUnit XML: a test case for each."""

from collections.abc import Sequence

from kbootstrap.drills.reports.words import allowed, duration, found
from kbootstrap.drills.result import DrillResult, Verdict
from kbootstrap.verify.junit import Case, Trouble, document


def junit(results: Sequence[DrillResult]) -> str:
    """The XML. A drill that was refused or cut short is an error: it has shown nothing."""
    cluster = ", ".join(dict.fromkeys(result.cluster for result in results))
    cases = [
        Case(f"drill.{cluster}", result.drill, result.seconds, _trouble(result), _told(result)) for result in results
    ]
    return document(f"kbootstrap drill {cluster}", sum(result.seconds for result in results), {cluster: cases})


def _trouble(result: DrillResult) -> Trouble | None:
    if result.verdict is Verdict.PASSED:
        return None
    first, *others = result.problems or (str(result.verdict),)
    return Trouble("failure" if result.verdict is Verdict.FAILED else "error", first, "\n".join(others))


def _told(result: DrillResult) -> str:
    limits = [f"{one.limit.what}: {found(one)} (allowed: {allowed(one.limit)})" for one in result.measured]
    return "\n".join([result.title, *limits, f"steady again after: {duration(result.recovery)}"])
