"""What is said of a drill beside its measured outages."""

from dataclasses import replace

from kbootstrap.drills.measure import EDGE, READS, outage, unfelt
from kbootstrap.drills.result import Jitter, Kind, Verdict
from kbootstrap.drills.story import busy, judged, said
from kbootstrap.errors import CommandFailed, HostsFailed
from kbootstrap.probes.ledger import Verdict as Reading
from kbootstrap.probes.spec import object_name
from tests.unit.drills.stage import Stage, drill, observation, track


def test_a_cluster_that_was_slow_before_is_named() -> None:
    calm, slow = Jitter("api-new", 0.004, 0.03, 0.9), Jitter("write-new", 0.1, 0.41, 0.5)
    (said,) = busy((calm, slow))
    assert "answers of write-new took 0.41 s and more" in said


def test_of_a_calm_one_nothing_is_said() -> None:
    assert busy((Jitter("api-new", 0.004, 0.25, 0.9),)) == []
    assert busy(()) == []


def test_applications_that_did_not_answer_before_are_not_measured_and_no_failure() -> None:
    stage = Stage()
    applications = outage("applications by name", 2, *EDGE)
    story = stage.story(drill(lambda _ground: None, unfelt(*READS), applications))  # type: ignore[arg-type,return-value]
    stage.chronicle.note(Kind.FAULT, "x", at=5.0)
    story.seen = observation(track("api-new", [1.0, 9.0]))
    result = judged(story)
    assert (result.verdict, [one.limit.what for one in result.measured]) == (Verdict.PASSED, ["requests"])
    assert result.remarks[0] == "applications by name: not measured, for none of them answered before"


def test_what_may_be_lost_is_counted_whatever_the_verdict() -> None:
    stage = Stage()
    story = stage.story(drill(lambda _ground: None, unfelt("write-new")))  # type: ignore[arg-type,return-value]
    stage.chronicle.note(Kind.FAULT, "x", at=5.0)
    written = track("write-new", [1.0, 2.0, 3.0], [6.0])
    seen = observation(written, ended=6.5)
    names = [object_name("write-new", serial) for serial in (1, 2)]
    story.seen = replace(seen, ledgers=(Reading("the API", 3, 0, 0, tuple(names)),))
    story.kept_until = 2.5
    result = judged(story)
    assert (result.verdict, result.excused) == (Verdict.FAILED, 1)
    assert any("1 acknowledged writes are not in the API" in problem for problem in result.problems)


def test_of_several_hosts_that_failed_each_has_its_reason() -> None:
    both = HostsFailed("2 hosts failed", [CommandFailed("no", host=host, output=f"{host}!") for host in ("cp1", "cp2")])
    assert said(both).splitlines() == ["2 hosts failed", "cp1: no", "cp1!", "cp2: no", "cp2!"]
