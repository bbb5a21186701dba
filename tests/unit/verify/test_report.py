"""Reports: what is told to people, to CI systems and to programs."""

import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kbootstrap.errors import InvalidInput
from kbootstrap.verify.junit import junit
from kbootstrap.verify.report import Finding, Outcome, Report, Verdict
from kbootstrap.verify.summary import summary
from kbootstrap.verify.verification import scope
from tests.unit.verify.world import recorded_cluster

FAILED = Outcome(
    "cp1",
    "sockets",
    "test_port[etcd, 2379]",
    "The port [is] listened on: etcd, 2379",
    Verdict.FAILED,
    0.25,
    Finding("port 2379 of etcd", "127.0.0.1", "nothing", "ss --listening", "line 1\nline 2"),
)
PASSED = Outcome("cp1", "etcd", "test_healthy", "The member answers", Verdict.PASSED, 0.5)
SKIPPED = Outcome("live", "network", "test_dns", "DNS works", Verdict.SKIPPED, 0.0, Finding("there is no pod"))
REPORT = Report("demo", (FAILED, PASSED, SKIPPED), 3.0, ("Something was left out.",))


def rendered(report: Report, *, verbose: bool = False) -> str:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    for line in summary(report, verbose=verbose):
        console.print(line, highlight=False)
    return console.export_text()


def test_people_see_what_was_expected_and_found() -> None:
    text = rendered(REPORT)
    for part in (
        "cp1",
        "sockets 1 of 1 failed",
        "etcd 1",
        "The port [is] listened on: etcd, 2379",
        "expected:  127.0.0.1",
        "found:     nothing",
        "command:   ss --listening",
        "line 2",
        "Something was left out.",
        "1 of 2 tests failed, 1 left out (3.0 s).",
    ):
        assert part in text
    assert "The member answers" not in text


def test_verbose_names_every_test_and_why_it_was_left_out() -> None:
    text = rendered(REPORT, verbose=True)
    assert "The member answers" in text
    assert "DNS works (there is no pod)" in text


def test_a_report_about_nothing_is_no_success() -> None:
    assert not Report("demo", (), 0.0).ok
    assert "Nothing was looked at" in rendered(Report("demo", (), 0.0))
    assert Report("demo", (PASSED, SKIPPED), 0.0).ok


def test_junit() -> None:
    root = ElementTree.fromstring(junit(REPORT))
    suites = {suite.get("name"): suite for suite in root}
    assert suites["cp1"].attrib | {"time": ""} == {
        "name": "cp1",
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
        "time": "",
    }
    case = suites["cp1"][0]
    assert case.get("classname") == "cp1.sockets"
    failure = case.find("failure")
    assert failure is not None
    assert failure.text is not None
    assert "found: nothing" in failure.text
    assert suites["live"][0].find("skipped") is not None


@given(st.text())
def test_junit_holds_whatever_a_host_prints(output: str) -> None:
    broken = Outcome("cp1", "x", "t", output, Verdict.FAILED, 0.0, Finding(output, output=output))
    ElementTree.fromstring(junit(Report(output, (broken,), 0.0)))


@given(st.text())
def test_people_can_be_shown_whatever_a_host_prints(output: str) -> None:
    broken = Outcome("cp1", "x", "t", output, Verdict.FAILED, 0.0, Finding(output, output, output, output, output))
    rendered(Report("demo", (broken,), 0.0, (output,)), verbose=True)


def test_json() -> None:
    value = json.loads(json.dumps(REPORT.as_json()))
    assert (value["ok"], value["counts"]) == (False, {"passed": 1, "failed": 1, "skipped": 1})
    assert value["outcomes"][0]["finding"]["found"] == "nothing"


def test_a_limit_leaves_out_what_concerns_all() -> None:
    cluster = recorded_cluster()
    limited = scope(cluster, ("worker",))
    assert [host.name for host in limited.hosts] == ["w1"]
    assert not limited.cluster
    assert not limited.live
    assert limited.left_out


def test_options_that_leave_nothing_are_refused() -> None:
    cluster = recorded_cluster()
    with pytest.raises(InvalidInput):
        scope(cluster, (), hosts=False, live=False)
    with pytest.raises(InvalidInput):
        scope(cluster, ("cp1",), hosts=False)
    with pytest.raises(InvalidInput, match="cp9"):
        scope(cluster, ("cp9",))


def test_scopes() -> None:
    cluster = recorded_cluster()
    whole, hosts_only, live_only = scope(cluster, ()), scope(cluster, (), live=False), scope(cluster, (), hosts=False)
    assert (whole.cluster, whole.live, len(whole.hosts), whole.left_out) == (True, True, 2, ())
    assert (hosts_only.cluster, hosts_only.live) == (True, False)
    assert (live_only.cluster, live_only.live, live_only.hosts) == (False, True, ())
