"""A suite between two verifications."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kbootstrap.cli import drill_proof
from kbootstrap.cli.main import run
from kbootstrap.drills import runner
from kbootstrap.drills.result import DrillResult, Verdict
from kbootstrap.verify.report import Finding, Outcome, Report
from kbootstrap.verify.report import Verdict as Found

PASSED = Outcome("cp1", "units", "test_unit", "the unit runs", Found.PASSED, 0.1)
FAILED = Outcome("cp1", "units", "test_unit", "the unit runs", Found.FAILED, 0.1, Finding("it does not"))


class World:
    """What verifications find, one after the other, and which drills were run."""

    def __init__(self) -> None:
        self.found: Iterator[Outcome] = iter(())
        self.ran: list[str] = []

    def verified(self, *_: object) -> Report:
        return Report("demo", (next(self.found),), 1.0)

    def run_drill(self, _cluster: object, drill: object, *_: object) -> DrillResult:
        self.ran.append(drill.name)  # type: ignore[attr-defined]
        return DrillResult(self.ran[-1], "A drill", "demo", f"r{len(self.ran)}", datetime.now(UTC), 1.0, Verdict.PASSED)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(drill_proof, "_verified", made.verified)
    monkeypatch.setattr(runner, "run_drill", made.run_drill)
    return made


def results(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out.splitlines()[-1])["results"]
    return found


def test_what_verify_finds_before_and_after_is_in_the_result(
    world: World, inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.found = iter((PASSED, PASSED))
    assert run(["drill", "suite", "-i", inventory, "--json"]) == 0
    assert len(world.ran) > 1
    *_, last = results(capsys)
    assert last["remarks"] == ["1 tests of `verify` passed before the drills, 1 after them"]


def test_hosts_that_are_not_as_they_should_be_are_not_hurt(
    world: World, inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.found = iter((FAILED,))
    assert run(["drill", "suite", "-i", inventory]) == 5
    assert world.ran == []
    assert "cp1: units: the unit runs" in capsys.readouterr().err


def test_what_drills_have_left_behind_fails_the_last(
    world: World, inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.found = iter((PASSED, FAILED))
    assert run(["drill", "suite", "-i", inventory, "--json"]) == 7
    *_, last = results(capsys)
    assert (last["verdict"], last["problems"]) == ("failed", ["after the drills: cp1: units: the unit runs"])


def test_single_drills_are_verified_where_it_is_asked_for(world: World, inventory: str) -> None:
    assert run(["drill", "run", "apiserver-kill", "-i", inventory]) == 0
    world.found = iter((PASSED, FAILED))
    assert run(["drill", "run", "apiserver-kill", "-i", inventory, "--verify"]) == 7
    assert run(["drill", "suite", "-i", inventory, "--no-verify"]) == 0


def test_what_was_found_before_a_crash_is_reported(
    world: World, inventory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crashing(cluster: object, drill: object, *more: object) -> DrillResult:
        if world.ran:
            raise KeyboardInterrupt
        return world.run_drill(cluster, drill, *more)

    monkeypatch.setattr(runner, "run_drill", crashing)
    metrics = tmp_path / "drills.prom"
    assert run(["drill", "suite", "-i", inventory, "--no-verify", "--metrics", str(metrics)]) != 0
    assert "kbootstrap_drill_success" in metrics.read_text()
