"""A node without pods: whose cordon it is, what a failed drain leaves, and which budget it names."""

import json
import re
import shlex
from dataclasses import replace
from typing import Any

import pytest

from kbootstrap.components.cordons import CORDONED
from kbootstrap.errors import CheckFailed, CommandFailed, Unreachable
from kbootstrap.facts.fact import Fact
from kbootstrap.model.settings import Upgrades
from kbootstrap.workflows.guards.drain import _BUDGETS, _PODS, drained
from tests.golden.sites import TOPOLOGIES
from tests.unit.workflows.guards.stage import BROKEN, RUN, Stage, expect_facts

VIP = TOPOLOGIES["vip"]
STATE = ".*kubectl .* get node w1 .*"
DRAIN = ".*kubectl .* drain w1 .*"
PATCH = ".*kubectl .* patch node w1 .*"
BUDGET_SAYS = (
    'error when evicting pods/"web-5d8f-x2x4z" -n "default" (will retry after 5s): '
    "Cannot evict pod as it would violate the pod's disruption budget."
)
POD = '{namespace}\t{name}\t{kind}\t{owner}\t{node}\tRunning\t\tTrue\t\t{{"app":"{app}"}}\n'


def stage(marks: str = "\t", *, drain: int = 0, says: str = "") -> Stage:
    """A node with these marks (as kubectl prints them), and a drain that ends so. cp1 is asked."""
    found = Stage(VIP)
    found.expect(STATE, marks, on="cp1")
    found.expect(PATCH, on="cp1")
    found.expect(DRAIN, exit_code=drain, stderr=says, on="cp1")
    return found


def patches(of: Stage) -> list[object]:
    """What was changed of the node, in order."""
    lines = [line for line in of.hosts["cp1"].commands if " patch node " in line]
    words = [word for line in lines for word in shlex.split(line) if word.startswith("--patch=")]
    return [json.loads(word.removeprefix("--patch=")) for word in words]


CORDON = {"metadata": {"annotations": {CORDONED: RUN}}, "spec": {"unschedulable": True}}
UNCORDON = {"metadata": {"annotations": {CORDONED: None}}, "spec": {"unschedulable": None}}


def test_a_node_is_cordoned_drained_and_uncordoned() -> None:
    found = stage()
    with drained(found.scene("w1")):
        assert patches(found) == [CORDON]
        assert " drain w1 --ignore-daemonsets --delete-emptydir-data --timeout=300s" in found.hosts["cp1"].commands[-1]
    assert patches(found) == [CORDON, UNCORDON]
    assert list(found.ran) == ["cp1"]


def test_the_api_is_asked_on_another_host() -> None:
    found = Stage(VIP)
    found.expect(".*kubectl .* cp1 .*", "\t", on="cp2")
    with drained(found.scene("cp1")):
        pass
    assert list(found.ran) == ["cp2"]


@pytest.mark.parametrize(
    "marks",
    [
        "true\t20261120-000000-0000",  # by a run of ours that was cut short
        "\t20261120-000000-0000",  # the same, and somebody has uncordoned it since
        "\t",
        "",
    ],
)
def test_whose_cordon_is_ours(marks: str) -> None:
    found = stage(marks)
    with drained(found.scene("w1")):
        pass
    assert patches(found) == [CORDON, UNCORDON]
    assert found.notes == []


def test_somebody_elses_cordon_stays() -> None:
    found = stage("true\t")
    with drained(found.scene("w1")):
        pass
    assert patches(found) == []
    assert any(" drain w1 " in line for line in found.hosts["cp1"].commands)
    assert found.notes == ["is cordoned already, and stays so"]


def test_work_that_fails_leaves_the_node_cordoned() -> None:
    found = stage()
    with pytest.raises(CommandFailed, match="could not restart it"), drained(found.scene("w1")):
        raise BROKEN
    assert patches(found) == [CORDON]


def budget(name: str, app: str, allowed: int, namespace: str = "default") -> dict[str, object]:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {"currentHealthy": 2, "desiredHealthy": 2, "disruptionsAllowed": allowed},
    }


def pod(name: str, app: str, *, kind: str = "ReplicaSet", node: str = "w1", namespace: str = "default") -> str:
    return POD.format(namespace=namespace, name=name, kind=kind, owner=f"of-{name}", node=node, app=app)


def blocked(pods: str, budgets: list[dict[str, object]], marks: str = "\t") -> tuple[CheckFailed, Stage]:
    """The failure of a drain, where these pods and budgets are."""
    found = stage(marks, drain=1, says=BUDGET_SAYS)
    said: dict[Fact[Any], bytes] = {
        _PODS: (pods + "complete\n").encode(),
        _BUDGETS: json.dumps({"items": budgets}).encode(),
    }
    expect_facts(found.hosts["cp1"], said)
    with pytest.raises(CheckFailed) as caught, drained(found.scene("w1")):
        raise AssertionError("the work was begun")
    return caught.value, found


def test_a_failed_drain_uncordons_and_names_the_budget() -> None:
    failure, found = blocked(pod("web-5d8f-x2x4z", "web"), [budget("web", "web", 0), budget("db", "db", 0)])
    assert (failure.host, failure.message) == ("w1", "could not be drained within 300 s")
    assert failure.output == f"PodDisruptionBudget default/web needs 2 healthy pods and has 2\n{BUDGET_SAYS}"
    assert "give the budget room" in (failure.hint or "")
    assert patches(found) == [CORDON, UNCORDON]


def test_a_failed_drain_leaves_somebody_elses_cordon() -> None:
    _, found = blocked(pod("web-5d8f-x2x4z", "web"), [budget("web", "web", 0)], marks="true\t")
    assert patches(found) == []


@pytest.mark.parametrize(
    "pods",
    [
        pod("web", "web", node="w2"),
        pod("web", "web", kind="DaemonSet"),
        pod("web", "web", kind="Node"),
        pod("web", "web", namespace="other"),
        pod("web", "db"),
        pod("web", "web").replace("Running\t", "Running\t2026-11-21T06:54:36Z"),
        "",
    ],
)
def test_budgets_of_other_pods_are_not_named(pods: str) -> None:
    failure, _ = blocked(pods, [budget("web", "web", 0)])
    assert failure.output == BUDGET_SAYS
    assert "mend what is named above" in (failure.hint or "")


def test_a_budget_that_lets_one_go_is_not_named() -> None:
    failure, _ = blocked(pod("web", "web"), [budget("web", "web", 1)])
    assert failure.output == BUDGET_SAYS


def test_a_pod_of_a_kind_that_only_begins_like_a_node_is_evicted_too() -> None:
    failure, _ = blocked(pod("web", "web", kind="NodePoolWorker"), [budget("web", "web", 0)])
    assert "default/web" in (failure.output or "")


def test_a_drain_without_an_api_uncordons_if_it_can() -> None:
    """The failure that is told is that of the drain."""
    found = Stage(VIP)
    host = found.hosts["cp1"]
    host.expect(re.compile(STATE), "\t")
    host.expect(re.compile(PATCH))
    host.expect(re.compile(PATCH), exit_code=1, stderr="connection refused")
    host.expect(re.compile(DRAIN), error=Unreachable("the connection was lost", host="cp1"))
    with pytest.raises(Unreachable, match="the connection was lost"), drained(found.scene("w1")):
        raise AssertionError("the work was begun")


@pytest.mark.parametrize("failing", [STATE, PATCH])
def test_a_node_that_cannot_be_read_or_cordoned_is_not_worked_on(failing: str) -> None:
    found = Stage(VIP)
    found.expect(failing, exit_code=1, stderr='nodes "w1" not found', on="cp1")
    found.expect(STATE, "\t", on="cp1")
    with pytest.raises(CommandFailed, match="the node cannot be"), drained(found.scene("w1")):
        raise AssertionError("the work was begun")
    assert not any(" drain " in line for line in found.hosts["cp1"].commands)


def test_the_patience_is_the_inventorys() -> None:
    patient = replace(VIP, settings=VIP.settings.model_copy(update={"upgrades": Upgrades(drain_seconds=30)}))
    found = Stage(patient)
    found.expect(STATE, "\t", on="cp1")
    found.expect(PATCH, on="cp1")
    found.expect(DRAIN, on="cp1")
    with drained(found.scene("w1")):
        assert "--timeout=30s" in found.hosts["cp1"].commands[-1]


def test_without_a_control_plane_nobody_can_be_asked() -> None:
    with (
        pytest.raises(CheckFailed, match="no control-plane host is connected"),
        drained(Stage(VIP, ["w1"]).scene("w1")),
    ):
        raise AssertionError("the work was begun")
