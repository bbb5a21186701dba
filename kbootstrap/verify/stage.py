"""Where the live checks play: a namespace of their own, which is always taken away again."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from kbootstrap.errors import CheckFailed, KbootstrapError
from kbootstrap.verify import manifests
from kbootstrap.verify.kube import NOT_FOUND, ApiRefused, Kube, Object

GONE_SECONDS = 30.0
PODS_SECONDS = 60.0
"""Both before the inventory's scale."""
INTERVAL = 0.2

AT_ONCE = 16

NAMESPACES = "/api/v1/namespaces"
NODES = "/api/v1/nodes"


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod of a node."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods that are ready, by node; for the other nodes, why theirs is not."""

    ready: Mapping[str, Pod]
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stage:
    """The namespace and what is in it."""

    namespace: str
    cluster_ip: str
    node_port: int


@contextmanager
def staged(api: Kube, image: str, scale: float) -> Iterator[Stage]:
    """The objects of the live checks while open, the pods perhaps not ready yet.

    Takes away first what killed verifications have left. Raises CheckFailed when the namespace does not go away.
    """
    for stale in _stale(api):
        api.delete(f"{NAMESPACES}/{stale}")
    body = manifests.namespace()
    name: str = body["metadata"]["name"]
    try:
        api.create(NAMESPACES, body)
        yield _filled(api, name, image)
    finally:
        _remove(api, name, GONE_SECONDS * scale)


def _stale(api: Kube) -> list[str]:
    now = datetime.now(UTC)
    return [
        item["metadata"]["name"]
        for item in api.items(NAMESPACES, labelSelector=manifests.LABEL)
        if item["metadata"]["name"].startswith(manifests.PREFIX)
        and item["status"]["phase"] != "Terminating"
        and manifests.is_stale(
            item["metadata"].get("annotations", {}).get(manifests.OWNER, ""),
            datetime.fromisoformat(item["metadata"]["creationTimestamp"]),
            now,
        )
    ]


def _filled(api: Kube, namespace: str, image: str) -> Stage:
    inside = f"{NAMESPACES}/{namespace}"
    api.create(f"/apis/apps/v1/namespaces/{namespace}/daemonsets", manifests.daemon_set(image))
    inner = api.create(f"{inside}/services", manifests.service(manifests.CLUSTER_SERVICE, "ClusterIP"))
    outer = api.create(f"{inside}/services", manifests.service(manifests.NODE_PORT_SERVICE, "NodePort"))
    api.create(f"{inside}/secrets", manifests.secret())
    return Stage(namespace, inner["spec"]["clusterIP"], outer["spec"]["ports"][0]["nodePort"])


def _remove(api: Kube, name: str, seconds: float) -> None:
    """Deletes the namespace and waits until it is gone, so that "cleaned up" is true when it is said."""
    deadline = time.monotonic() + seconds
    try:
        api.delete(f"{NAMESPACES}/{name}")
        while time.monotonic() < deadline:
            api.get(f"{NAMESPACES}/{name}")
            time.sleep(INTERVAL)
    except ApiRefused as error:
        if error.status == NOT_FOUND:
            return
        raise
    raise CheckFailed(
        f"the namespace {name} was deleted and is still there after {seconds:.0f} s",
        hint=f"kubectl get namespace {name} --output=yaml says what it waits for",
    )


def of_each(pods: Pods, ask: Callable[[Pod], str]) -> dict[str, str]:
    """What is said of every pod, side by side, by node; where there is no answer, why."""

    def answer(pod: Pod) -> str:
        try:
            return ask(pod)
        except KbootstrapError as error:
            return error.message

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(pods.ready, pool.map(answer, pods.ready.values()), strict=True))


def running_pods(api: Kube, namespace: str, nodes: Collection[str], scale: float) -> Pods:
    """Waits until the pod of every node is ready, or the deadline; not for nodes that are not ready themselves."""
    deadline = time.monotonic() + PODS_SECONDS * scale
    hopeless = {node["metadata"]["name"] for node in api.items(NODES) if not _is_ready(node)}
    while True:
        found = api.items(f"{NAMESPACES}/{namespace}/pods", labelSelector=f"app={manifests.APP}")
        pods = {_node_of(pod): pod for pod in found}
        ready = {
            node: Pod(pod["metadata"]["name"], pod["status"]["podIP"]) for node, pod in pods.items() if _is_ready(pod)
        }
        missing = [node for node in nodes if node not in ready]
        if set(missing) <= hopeless or time.monotonic() > deadline:
            return Pods(ready, {node: _problem(api, namespace, pods.get(node)) for node in missing})
        time.sleep(INTERVAL)


def _node_of(pod: Object) -> str:
    """The node that a DaemonSet's pod is meant for, also before it is scheduled there."""
    if "nodeName" in pod["spec"]:
        return str(pod["spec"]["nodeName"])
    affinity = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(affinity["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])


def _is_ready(item: Object) -> bool:
    """Of a pod or a node."""
    conditions = item["status"].get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _problem(api: Kube, namespace: str, pod: Object | None) -> str:
    """Why a pod is not ready: the latest warning about it, else what it says itself."""
    if pod is None:
        return "there is no pod for it: is kube-controller-manager well?"
    about = f"involvedObject.name={pod['metadata']['name']},type=Warning"
    warnings = api.items(f"{NAMESPACES}/{namespace}/events", fieldSelector=about)
    return str(warnings[-1]["message"]) if warnings else state_of(pod)


def state_of(pod: Object) -> str:
    """What a pod that is not ready says of itself."""
    for status in pod["status"].get("containerStatuses", ()):
        state = status["state"].get("waiting") or status["state"].get("terminated")
        if state:
            return ": ".join(part for part in (state["reason"], state.get("message")) if part)
    said = [item["message"] for item in pod["status"].get("conditions", ()) if item.get("message")]
    if said:
        return str(said[0])
    placed = "nodeName" in pod["spec"]
    return f"it is {pod['status'].get('phase', 'unknown')}" if placed else "not placed yet: is kube-scheduler well?"
