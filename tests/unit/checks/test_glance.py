"""A glance at the API is right about what is so, and about what is not; the shell is real, the answers are recorded."""

import pytest

from kbootstrap.checks.glance import deployment_complete, nodes_ready
from tests.local_host import api_says, shell

NODES = (
    '{"kind":"Table","columnDefinitions":[{"name":"Name"}],"rows":['
    '{"cells":["cp1","Ready","control-plane","10m","v1.36.4"],"object":null},'
    '{"cells":["w1","Ready,SchedulingDisabled","worker","10m","v1.36.4"],"object":null},'
    '{"cells":["w2","NotReady","worker","10m","v1.36.4"],"object":null}]}'
)
DEPLOYMENT = (
    '{"kind":"Deployment","metadata":{"name":"coredns","generation":3,"managedFields":[{"fieldsV1":{"f:replicas":{}}}]},'
    '"spec":{"replicas":2,"selector":{}},'
    '"status":{"observedGeneration":3,"replicas":2,"updatedReplicas":2,"readyReplicas":2,"availableReplicas":2,'
    '"conditions":[]}}'
)


def succeeds(probe: str, answer: str) -> bool:
    """On a host with a kubeconfig, whose apiserver answers so."""
    return shell(api_says(answer) + probe).ok


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cp1"], True),
        (["cp1", "w1"], True),
        (["cp1", "w2"], False),
        (["w"], False),
        (["w3"], False),
        ([], True),
    ],
)
def test_nodes(names: list[str], expected: bool) -> None:
    assert succeeds(nodes_ready(names), NODES) == expected


@pytest.mark.parametrize("answer", ["", '{"kind":"Status","code":403}'])
def test_no_answer_is_not_ready(answer: str) -> None:
    assert not succeeds(nodes_ready(["cp1"]), answer)
    assert not succeeds(deployment_complete("kube-system", "coredns"), answer)


def test_without_a_kubeconfig_nothing_is_so() -> None:
    assert not shell(nodes_ready(["cp1"])).ok


@pytest.mark.parametrize(
    ("was", "said"),
    [
        ("", ""),
        ('"generation":3', '"generation":4'),
        ('"replicas":2,"selector"', '"replicas":3,"selector"'),
        ('"replicas":2,"updated', '"replicas":3,"updated'),
        ('"updatedReplicas":2', '"updatedReplicas":1'),
        ('"readyReplicas":2', '"readyReplicas":1'),
        ('"availableReplicas":2,', ""),
    ],
)
def test_a_deployment(was: str, said: str) -> None:
    answer = DEPLOYMENT.replace(was, said) if was else DEPLOYMENT
    assert succeeds(deployment_complete("kube-system", "coredns"), answer) == (not was)
