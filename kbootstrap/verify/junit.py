"""Reports as JUnit XML, for CI systems: a test suite per subject."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from kbootstrap.verify.report import Finding, Outcome, Report, Verdict

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""

Kind = Literal["failure", "error", "skipped"]

_COUNTED: Mapping[Kind, str] = {"failure": "failures", "error": "errors", "skipped": "skipped"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a case did not pass: it failed, could not be carried out, or was left out."""

    kind: Kind
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One test; `output` is what else is to be known of it."""

    classname: str
    name: str
    seconds: float
    trouble: Trouble | None = None
    output: str = ""


def junit(report: Report) -> str:
    """A verification's XML."""
    suites = {
        subject: [_of_outcome(outcome) for outcome in report.outcomes if outcome.subject == subject]
        for subject in report.subjects
    }
    return document(f"kbootstrap verify {report.cluster}", report.seconds, suites)


def document(name: str, seconds: float, suites: Mapping[str, Sequence[Case]]) -> str:
    """The XML of test suites by name."""
    root = ElementTree.Element("testsuites", name=_clean(name), time=f"{seconds:.3f}")
    for suite, cases in suites.items():
        _suite(root, suite, cases)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _of_outcome(outcome: Outcome) -> Case:
    finding = outcome.finding or Finding("no reason is known")
    trouble = None
    if outcome.verdict is Verdict.FAILED:
        details = "\n".join(f"{name}: {value}" for name, value in finding.details)
        trouble = Trouble("failure", finding.message, details)
    if outcome.verdict is Verdict.SKIPPED:
        trouble = Trouble("skipped", finding.message)
    return Case(f"{outcome.subject}.{outcome.suite}", outcome.title, outcome.seconds, trouble)


def _suite(root: ElementTree.Element, name: str, cases: Sequence[Case]) -> None:
    kinds = [case.trouble.kind for case in cases if case.trouble]
    counts = {counted: str(kinds.count(kind)) for kind, counted in _COUNTED.items()}
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        {"name": _clean(name), "tests": str(len(cases)), **counts},
        time=f"{sum(case.seconds for case in cases):.3f}",
    )
    for case in cases:
        _case(suite, case)


def _case(suite: ElementTree.Element, case: Case) -> None:
    element = ElementTree.SubElement(
        suite, "testcase", classname=_clean(case.classname), name=_clean(case.name), time=f"{case.seconds:.3f}"
    )
    if case.trouble:
        trouble = ElementTree.SubElement(element, case.trouble.kind, message=_clean(case.trouble.message))
        trouble.text = _clean(case.trouble.details) or None
    if case.output:
        ElementTree.SubElement(element, "system-out").text = _clean(case.output)


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)
