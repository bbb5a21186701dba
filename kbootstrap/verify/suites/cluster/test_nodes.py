"""The nodes and the cluster's DNS, as the API knows them."""

from ipaddress import IPv4Network

import pytest

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify.kube import Kube, Object

CONTROL_PLANE_TAINT = "node-role.kubernetes.io/control-plane:NoSchedule"
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


@pytest.fixture(scope="module")
def nodes(api: Kube) -> dict[str, Object]:
    """All nodes by name."""
    return {node["metadata"]["name"]: node for node in api.items("/api/v1/nodes")}


def test_names(nodes: dict[str, Object], cluster: Cluster) -> None:
    """The nodes are the inventory's hosts."""
    assert set(nodes) == {host.name for host in cluster.nodes}, "nodes"


def test_ready(nodes: dict[str, Object], node: Host) -> None:
    """The node is ready, and under no pressure."""
    has = _node(nodes, node)
    conditions = {condition["type"]: condition for condition in has["status"].get("conditions", ())}
    ready = conditions.get("Ready", {"status": "unknown", "message": "kubelet has not said so yet"})
    state = "ready" if ready["status"] == "True" else f"{ready['status']}: {ready['message']}"
    assert state == "ready", f"on {node.name}: journalctl -u kubelet"
    pressed = {name for name, condition in conditions.items() if name in PRESSURES and condition["status"] == "True"}
    assert pressed == set(), "the node is in trouble"
    assert not has["spec"].get("unschedulable", False), f"it is cordoned: kubectl uncordon {node.name}"


def test_version(nodes: dict[str, Object], node: Host, cluster: Cluster) -> None:
    """The node's kubelet is of the inventory's version."""
    info = _node(nodes, node)["status"]["nodeInfo"]
    assert info["kubeletVersion"] == f"v{cluster.kubernetes}", "kubelet is of another version"
    assert info["containerRuntimeVersion"].partition(":")[0] == "containerd", "it has another container runtime"


def test_address(nodes: dict[str, Object], node: Host) -> None:
    """The node has the host's address."""
    addresses = {item["type"]: item["address"] for item in _node(nodes, node)["status"].get("addresses", ())}
    assert addresses.get("InternalIP", "none") == str(node.address), "logs and exec go there"


def test_labels(nodes: dict[str, Object], node: Host) -> None:
    """The node has its labels."""
    roles = {f"node-role.kubernetes.io/{role}": "" for role in node.roles if role in ("control-plane", "worker")}
    wanted = {**roles, **node.labels}
    has = _node(nodes, node)["metadata"].get("labels", {})
    wrong = {name: has.get(name, "(none)") for name, value in wanted.items() if has.get(name) != value}
    assert wrong == {}, "labels are missing or different"


def test_taints(nodes: dict[str, Object], node: Host) -> None:
    """The node has its taints, and no others; those that Kubernetes sets itself follow from the node's state."""
    has = {_taint(taint) for taint in _node(nodes, node)["spec"].get("taints", ()) if _is_ours(taint)}
    own = {CONTROL_PLANE_TAINT} if node.is_control_plane and not node.is_worker else set()
    assert has == own | {str(taint) for taint in node.taints}, "taints"


def test_pod_ranges(nodes: dict[str, Object], cluster: Cluster) -> None:
    """Every node has a range of pod addresses of its own."""
    ranges = {name: node["spec"].get("podCIDR", "") for name, node in nodes.items()}
    without = {name for name, network in ranges.items() if not network}
    assert without == set(), "nodes without a range"
    assert len(set(ranges.values())) == len(nodes), f"nodes share a range: {ranges}"
    pods = cluster.settings.network.pods
    outside = {name: network for name, network in ranges.items() if not IPv4Network(network).subnet_of(pods)}
    assert outside == {}, f"outside of {pods}"


def test_dns(api: Kube, cluster: Cluster) -> None:
    """The cluster's DNS runs, at its address, and the loss of one host is not its loss."""
    deployment = api.get("/apis/apps/v1/namespaces/kube-system/deployments/coredns")
    wanted, ready = deployment["spec"]["replicas"], deployment["status"].get("readyReplicas", 0)
    assert ready == wanted, "pods of CoreDNS that are ready; kubectl -n kube-system describe deployment/coredns"
    service = api.get("/api/v1/namespaces/kube-system/services/kube-dns")
    assert service["spec"]["clusterIP"] == str(cluster.dns_address), "pods ask another address"
    pods = api.items("/api/v1/namespaces/kube-system/pods", labelSelector="k8s-app=kube-dns")
    places = {pod["spec"].get("nodeName", "") for pod in pods if pod["status"]["phase"] == "Running"}
    assert len(places) >= min(2, wanted, len(cluster.nodes)), f"all of its pods are on {', '.join(places)}"


def _is_ours(taint: Object) -> bool:
    return not taint["key"].startswith("node.kubernetes.io/")


def _taint(taint: Object) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _node(nodes: dict[str, Object], host: Host) -> Object:
    if host.name not in nodes:
        pytest.skip("there is no such node; another test says so")
    return nodes[host.name]
