"""Pods: they run on every node, and the API reaches into them."""

from collections.abc import Mapping

import pytest

from kbootstrap.model.cluster import Host
from kbootstrap.verify.stage import Pods


def test_image(node: Host, image_problems: Mapping[str, str]) -> None:
    """The node has the image of the checks."""
    assert image_problems.get(node.name, "there") == "there", "without it no pod of the checks runs there"


def test_runs(pods: Pods, node: Host) -> None:
    """A pod runs on the node."""
    assert pods.problems.get(node.name, "ready") == "ready", f"on {node.name}: journalctl -u kubelet -u containerd"


def test_logs(logs: Mapping[str, str], node: Host) -> None:
    """The API shows a pod's log."""
    assert "HTTP server" in _of(logs, node), "its first words are missing"


def test_exec(executions: Mapping[str, str], node: Host) -> None:
    """A command runs in a pod through the API, and from there finds the API by its name."""
    assert _of(executions, node) == "exit code 0", "kubelet, CoreDNS and kube-proxy take part in it"


def _of(answers: Mapping[str, str], node: Host) -> str:
    if node.name not in answers:
        pytest.skip("there is no pod on the node; another test says so")
    return answers[node.name]
