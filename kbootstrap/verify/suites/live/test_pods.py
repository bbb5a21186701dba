"""Pods: they run on every node, and the API reaches into them."""

from collections.abc import Mapping

import pytest

from kbootstrap.model.cluster import Host
from kbootstrap.verify.kube import Kube
from kbootstrap.verify.stage import Pod, Pods, Stage


def test_image(node: Host, image_problems: Mapping[str, str]) -> None:
    """The node has the image of the checks."""
    assert node.name not in image_problems, image_problems.get(node.name, "")


def test_runs(pods: Pods, node: Host) -> None:
    """A pod runs on the node."""
    assert pods.problems.get(node.name, "ready") == "ready", f"on {node.name}: journalctl -u kubelet -u containerd"


def test_logs(api: Kube, stage: Stage, pods: Pods, node: Host) -> None:
    """The API shows a pod's log."""
    log = api.text(f"/api/v1/namespaces/{stage.namespace}/pods/{_pod(pods, node).name}/log")
    assert "HTTP server" in log, "the pod's first words are missing"


def test_exec(api: Kube, stage: Stage, pods: Pods, node: Host) -> None:
    """A command runs in a pod through the API, and from there finds the API by its name."""
    command = ("/agnhost", "connect", "--timeout=5s", "kubernetes.default.svc:443")
    code, said = api.run(stage.namespace, _pod(pods, node).name, command)
    assert code == 0, f"the command's exit code; it said: {said or 'nothing'}"


def _pod(pods: Pods, node: Host) -> Pod:
    if node.name not in pods.ready:
        pytest.skip("there is no pod on the node; another test says so")
    return pods.ready[node.name]
