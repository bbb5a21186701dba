"""The cluster's pods, as far as it matters whether they are well."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kbootstrap.facts.fact import Single

_FIELDS = (
    ".metadata.namespace",
    ".metadata.name",
    ".metadata.ownerReferences[0].kind",
    ".metadata.ownerReferences[0].name",
    ".spec.nodeName",
    ".status.phase",
    ".metadata.deletionTimestamp",
    '.status.conditions[?(@.type=="Ready")].status',
    ".status.containerStatuses[*].state.waiting.reason",
    ".metadata.labels",
)
_JSONPATH = "{range .items[*]}" + '{"\\t"}'.join(f"{{{field}}}" for field in _FIELDS) + '{"\\n"}{end}'
_END = "complete"


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod. `owner` is what controls it (`ReplicaSet web-5d8f`), or itself; `waiting` why its containers wait."""

    namespace: str
    name: str
    owner: str
    node: str
    phase: str
    terminating: bool
    ready: bool
    waiting: str
    labels: str
    """JSON."""

    @property
    def unwell(self) -> bool:
        """Whether it should serve and does not."""
        return not (self.ready or self.terminating or self.phase == "Succeeded")

    @property
    def why(self) -> str:
        """In words, for one that is unwell."""
        return f"{self.namespace}/{self.name} ({self.waiting or self.phase}{f' on {self.node}' if self.node else ''})"


@dataclass(frozen=True, slots=True)
class PodStates(Single[tuple[PodState, ...] | None]):
    """All pods; None when the API did not answer. `kubectl` is a command that has its kubeconfig."""

    waits = True

    kubectl: str

    @property
    def command(self) -> str:
        return f"{self.kubectl} get pods --all-namespaces --output=jsonpath='{_JSONPATH}' && echo {_END}"

    def value(self, output: bytes) -> tuple[PodState, ...] | None:
        lines = output.decode(errors="replace").splitlines()
        if not lines or lines[-1] != _END:
            return None
        rows = (line.split("\t") for line in lines if line.count("\t") == len(_FIELDS) - 1)
        return tuple(_pod(row) for row in rows)


def _pod(row: list[str]) -> PodState:
    namespace, name, kind, owner, node, phase, deleted, ready, waiting, labels = row
    return PodState(
        namespace=namespace,
        name=name,
        owner=f"{kind} {owner}" if kind else f"Pod {name}",
        node=node,
        phase=phase,
        terminating=bool(deleted),
        ready=ready == "True",
        waiting=waiting,
        labels=labels or "{}",
    )


def newly_unwell(before: Iterable[PodState], now: Iterable[PodState]) -> list[PodState]:
    """The pods of owners that have more unwell pods now than before: pods change their names when they move."""
    known = _by_owner(before)
    found = [pod for pod in now if pod.unwell]
    return [pod for pod in found if _by_owner(found)[_owner(pod)] > known.get(_owner(pod), 0)]


def _by_owner(pods: Iterable[PodState]) -> Mapping[tuple[str, str], int]:
    return Counter(_owner(pod) for pod in pods if pod.unwell)


def _owner(pod: PodState) -> tuple[str, str]:
    return (pod.namespace, pod.owner)
