"""A report as JUnit XML, for CI systems: a test suite per subject."""

import re
from xml.etree import ElementTree

from kbootstrap.verify.report import Finding, Outcome, Report, Verdict

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""


def junit(report: Report) -> str:
    """The report's XML."""
    name = _clean(f"kbootstrap verify {report.cluster}")
    root = ElementTree.Element("testsuites", name=name, time=f"{report.seconds:.3f}")
    for subject in report.subjects:
        _suite(root, subject, [outcome for outcome in report.outcomes if outcome.subject == subject])
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: ElementTree.Element, subject: str, outcomes: list[Outcome]) -> None:
    verdicts = [outcome.verdict for outcome in outcomes]
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=subject,
        tests=str(len(outcomes)),
        failures=str(verdicts.count(Verdict.FAILED)),
        errors="0",
        skipped=str(verdicts.count(Verdict.SKIPPED)),
        time=f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    )
    for outcome in outcomes:
        _case(suite, outcome)


def _case(suite: ElementTree.Element, outcome: Outcome) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"{outcome.subject}.{outcome.suite}",
        name=_clean(outcome.title),
        time=f"{outcome.seconds:.3f}",
    )
    finding = outcome.finding or Finding("no reason is known")
    if outcome.verdict is Verdict.FAILED:
        failure = ElementTree.SubElement(case, "failure", message=_clean(finding.message), type="failed")
        failure.text = _clean("\n".join(f"{name}: {value}" for name, value in finding.details))
    if outcome.verdict is Verdict.SKIPPED:
        ElementTree.SubElement(case, "skipped", message=_clean(finding.message))


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)
