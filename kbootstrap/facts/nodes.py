"""The cluster's nodes, and who leads its controllers, as the API tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kbootstrap.facts.api import answers, ask, items
from kbootstrap.facts.fact import Single

ANSWER_SECONDS = 3

_NODES = "/api/v1/nodes"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node as the API knows it; `ready` is True, False or Unknown."""

    name: str
    created: datetime
    version: str
    ready: str
    message: str
    schedulable: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease of kube-system: who leads, and when that was last renewed."""

    name: str
    holder: str
    renewed: datetime | None


@dataclass(frozen=True, slots=True)
class ApiView:
    """What the API told."""

    nodes: tuple[NodeState, ...]
    leases: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class KubeNodes(Single[ApiView | None]):
    """Nodes and leases; None when the API did not answer. Asked on a control-plane host."""

    waits = True

    @property
    def command(self) -> str:
        return ask([_NODES, _LEASES], seconds=ANSWER_SECONDS)

    def value(self, output: bytes) -> ApiView | None:
        lists = {answer.get("kind"): items(answer) for answer in answers(output)}
        if lists.keys() != {"NodeList", "LeaseList"}:
            return None
        return ApiView(tuple(map(_node, lists["NodeList"])), tuple(map(_lease, lists["LeaseList"])))


def _node(node: Mapping[str, Any]) -> NodeState:
    status = node["status"]
    ready: Mapping[str, str] = next((one for one in status.get("conditions", ()) if one["type"] == "Ready"), {})
    return NodeState(
        name=node["metadata"]["name"],
        created=_time(node["metadata"]["creationTimestamp"]) or datetime.fromtimestamp(0, UTC),
        version=status["nodeInfo"]["kubeletVersion"].removeprefix("v"),
        ready=ready.get("status", "Unknown"),
        message=ready.get("message", ""),
        schedulable=not node["spec"].get("unschedulable", False),
    )


def _lease(lease: Mapping[str, Any]) -> Lease:
    spec = lease["spec"]
    return Lease(lease["metadata"]["name"], spec.get("holderIdentity", ""), _time(spec.get("renewTime", "")))


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
