"""The cluster's nodes, and who leads its controllers, as the API tells it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from kbootstrap.facts.fact import Single

ANSWER_SECONDS = 3

_FIELDS = (
    ".kind",
    ".metadata.name",
    ".metadata.creationTimestamp",
    ".spec.holderIdentity",
    ".spec.renewTime",
    ".spec.unschedulable",
    ".status.nodeInfo.kubeletVersion",
    '.status.conditions[?(@.type=="Ready")].status',
    '.status.conditions[?(@.type=="Ready")].message',
)
_JSONPATH = "{range .items[*]}" + '{"\\t"}'.join(f"{{{field}}}" for field in _FIELDS) + '{"\\n"}{end}'
_END = "complete"


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
    """Nodes and leases; None when the API did not answer. `kubectl` is a command that has its kubeconfig."""

    kubectl: str

    @property
    def command(self) -> str:
        return (
            f"timeout {ANSWER_SECONDS + 1} {self.kubectl} --request-timeout={ANSWER_SECONDS}s --namespace=kube-system"
            f" get nodes,leases.coordination.k8s.io --output=jsonpath='{_JSONPATH}' && echo {_END}"
        )

    def value(self, output: bytes) -> ApiView | None:
        lines = output.decode(errors="replace").splitlines()
        if not lines or lines[-1] != _END:
            return None
        rows = [line.split("\t") for line in lines if line.count("\t") == len(_FIELDS) - 1]
        return ApiView(
            nodes=tuple(_node(row) for row in rows if row[0] == "Node"),
            leases=tuple(_lease(row) for row in rows if row[0] == "Lease"),
        )


def _node(row: list[str]) -> NodeState:
    _, name, created, _, _, unschedulable, version, ready, message = row
    return NodeState(
        name=name,
        created=_time(created) or datetime.fromtimestamp(0, UTC),
        version=version.removeprefix("v"),
        ready=ready or "Unknown",
        message=message,
        schedulable=unschedulable != "true",
    )


def _lease(row: list[str]) -> Lease:
    return Lease(name=row[1], holder=row[3], renewed=_time(row[4]))


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
