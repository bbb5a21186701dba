"""What makes the host a node: container runtime, kubelet, kube-proxy, pod network."""

import json
from ipaddress import IPv4Network
from typing import Any

import pytest
from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify.asking import status_code

RUNTIME_SECONDS = 10
"""For crictl, before the inventory's scale: it asks containerd, and that its CNI plugins."""


def test_runtime(host: Remote, cluster: Cluster) -> None:
    """containerd can run pods, and has a network for them."""
    info = host.run(f"/usr/local/bin/crictl --timeout={cluster.settings.timeouts.scaled(RUNTIME_SECONDS)}s info")
    assert info.succeeded, "on the host: journalctl -u containerd"
    conditions = {item["type"]: item for item in json.loads(info.stdout)["status"]["conditions"]}
    ready = {name: _condition(conditions.get(name)) for name in ("RuntimeReady", "NetworkReady")}
    assert ready == {"RuntimeReady": "yes", "NetworkReady": "yes"}, "the runtime is not ready"


def test_kubelet(host: Remote, cluster: Cluster) -> None:
    """kubelet is well."""
    code = host.run(f"{status_code(cluster)} http://127.0.0.1:10248/healthz").stdout
    assert code == "200", "on the host: journalctl -u kubelet"


def test_kubelet_refuses_strangers(host: Remote, subject: Host, cluster: Cluster) -> None:
    """kubelet tells strangers nothing."""
    paths = ("/pods", "/metrics", "/configz", "/logs/")
    probes = "\n".join(
        f"{status_code(cluster)} --insecure https://{subject.address}:10250{path}; echo" for path in paths
    )
    answers = dict(zip(paths, host.run(probes).stdout.split(), strict=True))
    assert answers == dict.fromkeys(paths, "401"), "strangers are let in, or it does not answer"


def test_kube_proxy(host: Remote, cluster: Cluster) -> None:
    """kube-proxy has its rules in place."""
    code = host.run(f"{status_code(cluster)} http://127.0.0.1:10256/healthz").stdout
    assert code == "200", "on the host: journalctl -u kube-proxy"


def test_pod_network(host: Remote, cluster: Cluster) -> None:
    """The host has a range of pod addresses."""
    if cluster.settings.network.cni != "flannel":
        pytest.skip("the pod network is not ours")
    written = host.check_output("cat /run/flannel/subnet.env")
    subnet = next((line.partition("=")[2] for line in written.splitlines() if line.startswith("FLANNEL_SUBNET=")), "")
    assert subnet != "", "flannel has no range for this host; on the host: journalctl -u flanneld"
    inside = IPv4Network(subnet, strict=False).subnet_of(cluster.settings.network.pods)
    assert inside, f"{subnet} is outside of {cluster.settings.network.pods}"
    assert host.file("/etc/cni/net.d/10-flannel.conflist").is_file, "the container runtime was not told of it"


def _condition(condition: dict[str, Any] | None) -> str:
    if condition is None:
        return "unknown"
    return "yes" if condition["status"] else str(condition.get("message") or "no")
