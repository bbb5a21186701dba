"""Which gates a host has to pass before the next one is touched."""

import pytest

from kbootstrap.engine.plan import Plan, Task
from kbootstrap.workflows.apply import gates
from kbootstrap.workflows.playbooks import builtin

UP = builtin("up")


@pytest.mark.parametrize(
    ("runtime", "nodes", "expected"),
    [
        pytest.param(True, True, ["node-ready"], id="a node that serves"),
        pytest.param(True, False, [], id="killed before kubelet was there"),
        pytest.param(False, True, [], id="killed while containerd was restarted"),
        pytest.param(False, False, [], id="bare"),
    ],
)
def test_a_gate_is_for_hosts_whose_parts_all_ran(runtime: bool, nodes: bool, expected: list[str]) -> None:
    task = Task("runtime", "w1", (), serving=runtime)
    others = (Task("nodes", "w1", (), serving=nodes), Task("nodes", "w2", (), serving=False))
    assert gates(Plan(UP, (task, *others)), task) == expected


def test_a_phase_without_gates() -> None:
    task = Task("keys", "cp1", (), serving=False)
    assert gates(Plan(UP, (task,)), task) == []
