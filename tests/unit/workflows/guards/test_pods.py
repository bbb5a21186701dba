"""After the work on a host nobody's pods are worse off than before, or somebody hears of it."""

from dataclasses import replace

import pytest

from kbootstrap.errors import CheckFailed, CommandFailed
from kbootstrap.model.settings import Timeouts
from kbootstrap.workflows.guards import pods
from kbootstrap.workflows.guards.pods import _PODS, no_new_failures
from tests.golden.sites import TOPOLOGIES
from tests.unit.workflows.guards.stage import BROKEN, Stage, expect_facts

POD = "default\t{name}\tReplicaSet\t{owner}\tw1\tRunning\t\t{ready}\t{why}\t\n"
WELL, OTHER = (
    POD.format(name="web-1", owner="web", ready="True", why=""),
    POD.format(name="db-1", owner="db", ready="False", why="ImagePullBackOff"),
)
MOVED = POD.format(name="web-2", owner="web", ready="False", why="CrashLoopBackOff")
BACK = MOVED.replace("False\tCrashLoopBackOff", "True\t")
SILENCE = None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(pods, "SETTLE_SECONDS", 0.05)


def stage(*answers: str | None) -> Stage:
    """What the API says of all pods, each time that it is asked; the last again and again."""
    found = Stage(replace(TOPOLOGIES["vip"]))
    for answer in answers:
        expect_facts(found.hosts["cp1"], {_PODS: b"" if answer is None else f"{answer}complete\n".encode()})
    return found


def asked(found: Stage) -> int:
    return len(found.hosts["cp1"].ran)


@pytest.mark.parametrize(
    ("answers", "times"),
    [
        (["", ""], 2),
        ([WELL, WELL], 2),
        ([WELL, ""], 2),  # deleted meanwhile, by somebody else
        ([WELL + OTHER, WELL + OTHER], 2),  # what was unwell before is not ours
        ([WELL, MOVED, MOVED, BACK], 4),
        ([WELL, SILENCE, SILENCE, WELL], 4),  # an apiserver that is going away
    ],
)
def test_it_waits_until_nobody_is_worse_off(answers: list[str | None], times: int) -> None:
    found = stage(*answers)
    with no_new_failures(found.scene("w1")):
        assert asked(found) == 1
    assert asked(found) == times


def test_it_names_who_is_worse_off() -> None:
    found = stage(WELL + OTHER, MOVED + OTHER)
    with pytest.raises(CheckFailed) as caught, no_new_failures(found.scene("w1")):
        pass
    assert caught.value.host == "w1"
    assert caught.value.output == "default/web-2 (CrashLoopBackOff on w1)"
    assert "kubectl describe pod" in (caught.value.hint or "")
    assert asked(found) > 2


def test_an_api_that_stays_silent_is_no_success() -> None:
    found = stage(WELL, SILENCE)
    with pytest.raises(CheckFailed) as caught, no_new_failures(found.scene("w1")):
        pass
    assert caught.value.output == "the API does not say how the pods are"


def test_without_an_answer_before_there_is_nothing_to_compare_with() -> None:
    found = stage(SILENCE, MOVED)
    with no_new_failures(found.scene("w1")):
        pass
    assert asked(found) == 1
    assert len(found.notes) == 1


def test_work_that_fails_is_not_waited_for() -> None:
    found = stage(WELL, MOVED)
    with pytest.raises(CommandFailed, match="could not restart it"), no_new_failures(found.scene("w1")):
        raise BROKEN
    assert asked(found) == 1


def test_the_patience_is_scaled() -> None:
    found = stage(WELL, MOVED)
    found.cluster = replace(
        found.cluster, settings=found.cluster.settings.model_copy(update={"timeouts": Timeouts(scale=0.1)})
    )
    with pytest.raises(CheckFailed, match="after 0 s"), no_new_failures(found.scene("w1")):
        pass
