"""Labels and taints of the nodes: roles, and what the inventory says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kbootstrap.checks.check import Check
from kbootstrap.components.addons import is_first
from kbootstrap.components.kubectl import kubectl
from kbootstrap.components.kubelet import taints
from kbootstrap.components.site import Site
from kbootstrap.facts.api import answers, ask, items
from kbootstrap.facts.fact import Fact, Facts, Single
from kbootstrap.model.cluster import Host, Role, Taint
from kbootstrap.steps.step import Change, Paths, Step, fingerprint, quote

ROLE_LABEL = "node-role.kubernetes.io/"

REGISTRATION_SECONDS = 180
"""How long a kubelet that has just been started may take to register its node, before the timeouts' scale."""


@dataclass(frozen=True, slots=True)
class NodeMarks:
    """A node's labels, taints and annotations."""

    labels: Mapping[str, str]
    taints: frozenset[Taint]
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterNodes(Single[Mapping[str, NodeMarks]]):
    """All nodes by name; none where no apiserver answers."""

    waits = True

    @property
    def command(self) -> str:
        return ask(["/api/v1/nodes"], patient=True)

    def value(self, output: bytes) -> Mapping[str, NodeMarks]:
        return {node["metadata"]["name"]: _marks(node) for answer in answers(output) for node in items(answer)}


def _marks(node: Mapping[str, Any]) -> NodeMarks:
    return NodeMarks(
        node["metadata"].get("labels", {}),
        frozenset(
            Taint(taint["key"], taint.get("value", ""), taint["effect"]) for taint in node["spec"].get("taints", ())
        ),
        node["metadata"].get("annotations", {}),
    )


@dataclass(frozen=True, slots=True)
class NodeLabels:
    """Labels and taints that a node must have; others stay. Waits until the node is there, up to `seconds`."""

    node: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    seconds: int

    def needs(self) -> Sequence[Fact[Any]]:
        return (ClusterNodes(),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        now = seen[ClusterNodes()].get(self.node, NodeMarks({}, frozenset()))
        labels = {name: value for name, value in self.labels.items() if now.labels.get(name) != value}
        taints = [taint for taint in self.taints if taint not in now.taints]
        if not labels and not taints:
            return None
        node = quote(self.node)
        wait = kubectl(f"wait --for=create node/{node} --timeout={self.seconds}s")
        # Again and again: it also gives up when one of its requests takes too long, on a host that starts everything.
        lines = [f"(\n{Check('registered', wait, self.seconds, interval=1).script()}) >&2"]
        if labels:
            pairs = " ".join(quote(f"{name}={value}") for name, value in labels.items())
            lines.append(kubectl(f"label node {node} --overwrite {pairs} >/dev/null"))
        if taints:
            lines.append(kubectl(f"taint node {node} --overwrite {' '.join(map(quote, taints))} >/dev/null"))
        return Change(
            title=f"label node {self.node}",
            script="\n".join(lines),
            fingerprint=fingerprint("node-labels", self.node, sorted(self.labels.items()), self.taints),
            diff="\n".join([*(f"{name}={value}" for name, value in labels.items()), *map(str, taints)]),
        )


def node_labels(site: Site) -> list[Step]:
    """Labels and taints of all nodes, from the first control-plane host.

    Healthy when `kubectl get nodes` shows the roles.
    """
    if not is_first(site):
        return []
    seconds = site.cluster.settings.timeouts.scaled(REGISTRATION_SECONDS)
    return [
        NodeLabels(host.name, _labels(host), taints(host), seconds)
        for host in site.cluster.nodes
        if site.limit is None or host.name in site.limit
    ]


def _labels(host: Host) -> dict[str, str]:
    roles = {f"{ROLE_LABEL}{role}": "" for role in (Role.CONTROL_PLANE, Role.WORKER) if role in host.roles}
    return {**roles, **host.labels}
