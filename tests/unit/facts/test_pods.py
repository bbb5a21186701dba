"""Pods and the budgets that keep them, from what kubectl 1.36.4 printed of a real API (shortened)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.facts.budgets import Budget, Budgets, selects
from kbootstrap.facts.pods import PodState, PodStates, newly_unwell

PODS = (
    b"default\talone\t\t\tw1\tPending\t\t\t\t\n"
    b"default\tdone\t\t\tw1\tSucceeded\t\tFalse\t\t\n"
    b'default\tweb-5d8f-pppp9\tReplicaSet\tweb-5d8f\t\tPending\t\t\t\t{"app":"web"}\n'
    b"default\tweb-5d8f-x2x4z\tReplicaSet\tweb-5d8f\tw1\tRunning\t\tFalse\tCrashLoopBackOff ImagePullBackOff\t"
    b'{"app":"web","example.com/tier":"front"}\n'
    b"kube-system\tproxy-abcde\tDaemonSet\tproxy\tcp1\tRunning\t2026-11-21T06:54:36Z\tTrue\t\t\n"
    b"complete\n"
)
BUDGETS = {
    "apiVersion": "v1",
    "items": [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"generation": 1, "name": "unselected", "namespace": "default"},
            "spec": {"maxUnavailable": 1},
            "status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0},
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"generation": 1, "name": "web", "namespace": "default"},
            "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
            "status": {
                "currentHealthy": 1,
                "desiredHealthy": 2,
                "disruptionsAllowed": 0,
                "expectedPods": 2,
                "observedGeneration": 1,
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"generation": 1, "name": "expressions", "namespace": "kube-system"},
            "spec": {
                "maxUnavailable": 1,
                "selector": {
                    "matchExpressions": [
                        {"key": "app", "operator": "In", "values": ["a", "b"]},
                        {"key": "x", "operator": "DoesNotExist"},
                    ]
                },
            },
        },
    ],
    "kind": "List",
    "metadata": {"resourceVersion": ""},
}


def pods() -> dict[str, PodState]:
    found = PodStates("kubectl").value(PODS)
    assert found is not None
    return {pod.name: pod for pod in found}


def pod(owner: str, *, ready: bool = True, namespace: str = "default", phase: str = "Running") -> PodState:
    return PodState(namespace, "any", owner, "w1", phase, terminating=False, ready=ready, waiting="", labels="{}")


def test_pods() -> None:
    found = pods()
    assert found["alone"] == PodState("default", "alone", "Pod alone", "w1", "Pending", False, False, "", "{}")
    crashing = found["web-5d8f-x2x4z"]
    assert (crashing.owner, crashing.node, crashing.waiting) == (
        "ReplicaSet web-5d8f",
        "w1",
        "CrashLoopBackOff ImagePullBackOff",
    )
    assert json.loads(crashing.labels) == {"app": "web", "example.com/tier": "front"}
    assert found["proxy-abcde"].terminating
    assert found["proxy-abcde"].ready


def test_who_is_unwell_and_why() -> None:
    assert {name: pod.why for name, pod in pods().items() if pod.unwell} == {
        "alone": "default/alone (Pending on w1)",
        "web-5d8f-pppp9": "default/web-5d8f-pppp9 (Pending)",
        "web-5d8f-x2x4z": "default/web-5d8f-x2x4z (CrashLoopBackOff ImagePullBackOff on w1)",
    }


@pytest.mark.parametrize("output", [b"", b"default\talone\t\t\tw1\tPending\t\t\t\t\n", PODS[:-1] + b"!\n"])
def test_no_answer_is_not_a_cluster_without_pods(output: bytes) -> None:
    assert PodStates("kubectl").value(output) is None


def test_a_cluster_without_pods() -> None:
    assert PodStates("kubectl").value(b"complete\n") == ()


def test_a_pod_that_moves_may_change_its_name() -> None:
    assert newly_unwell([pod("ReplicaSet a", ready=False)], [pod("ReplicaSet a", ready=False)]) == []


def test_one_more_of_an_owner_is_worse() -> None:
    before, now = [pod("ReplicaSet a", ready=False)], [pod("ReplicaSet a", ready=False)] * 2
    assert newly_unwell(before, now) == now
    assert newly_unwell(now, before) == []


def test_owners_of_the_same_name_elsewhere_are_others() -> None:
    worse = pod("ReplicaSet a", ready=False, namespace="other")
    assert newly_unwell([pod("ReplicaSet a", ready=False)], [worse]) == [worse]


def test_what_is_done_or_going_is_not_unwell() -> None:
    assert newly_unwell([], [pod("Job a", ready=False, phase="Succeeded"), pods()["proxy-abcde"]]) == []


@given(st.lists(st.sampled_from([pod("ReplicaSet a", ready=False), pod("DaemonSet b"), pod("Pod c", ready=False)])))
def test_nothing_is_worse_than_itself(some: list[PodState]) -> None:
    assert newly_unwell(some, some) == []
    assert newly_unwell([], some) == [each for each in some if each.unwell]


def budgets() -> dict[str, Budget]:
    return {budget.name: budget for budget in Budgets("kubectl").value(json.dumps(BUDGETS).encode())}


def test_budgets() -> None:
    web = budgets()["web"]
    assert (web.namespace, web.healthy, web.desired, web.allowed) == ("default", 1, 2, 0)
    assert web.said == "default/web needs 2 healthy pods and has 1"
    assert budgets()["expressions"].allowed == 0  # nobody has counted yet


def test_which_pods_a_budget_keeps() -> None:
    found = pods()
    covered = {name: [pod for pod in found if budget.covers(found[pod])] for name, budget in budgets().items()}
    assert covered == {"unselected": [], "web": ["web-5d8f-pppp9", "web-5d8f-x2x4z"], "expressions": []}


@pytest.mark.parametrize("output", [b"", b"\n", b'{"items": [{"meta'])
def test_no_answer_has_no_budgets(output: bytes) -> None:
    assert Budgets("kubectl").value(output) == ()


def rule(operator: str, *values: str) -> dict[str, object]:
    return {"matchExpressions": [{"key": "app", "operator": operator, **({"values": [*values]} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "web", "unlabelled"),
    [
        ({}, True, True),
        (None, False, False),
        ({"matchLabels": {"app": "web"}}, True, False),
        ({"matchLabels": {"app": "db"}}, False, False),
        ({"matchLabels": {"app": "web", "tier": "front"}}, False, False),
        (rule("In", "web", "db"), True, False),
        (rule("In", "db"), False, False),
        (rule("NotIn", "web"), False, True),
        (rule("NotIn", "db"), True, True),
        (rule("Exists"), True, False),
        (rule("DoesNotExist"), False, True),
        ({"matchLabels": {"app": "web"}, **rule("NotIn", "web")}, False, False),
    ],
)
def test_selectors(selector: dict[str, object] | None, web: bool, unlabelled: bool) -> None:
    assert (selects(selector, {"app": "web"}), selects(selector, {})) == (web, unlabelled)
