"""PodDisruptionBudgets, and which pods they keep from being evicted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kbootstrap.facts.fact import Single
from kbootstrap.facts.pods import PodState


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget: how many of its pods are healthy, how many must be, how many may go now."""

    namespace: str
    name: str
    selector: Mapping[str, Any] | None
    healthy: int
    desired: int
    allowed: int

    def covers(self, pod: PodState) -> bool:
        """Whether the pod counts for this budget."""
        return pod.namespace == self.namespace and selects(self.selector, json.loads(pod.labels))

    @property
    def said(self) -> str:
        """In words."""
        return f"{self.namespace}/{self.name} needs {self.desired} healthy pods and has {self.healthy}"


@dataclass(frozen=True, slots=True)
class Budgets(Single[tuple[Budget, ...]]):
    """All budgets of the cluster; none when the API did not answer."""

    waits = True

    kubectl: str

    @property
    def command(self) -> str:
        return f"{self.kubectl} get poddisruptionbudgets --all-namespaces --output=json"

    def value(self, output: bytes) -> tuple[Budget, ...]:
        try:
            return tuple(_budget(item) for item in json.loads(output)["items"])
        except ValueError:
            return ()


def _budget(item: Mapping[str, Any]) -> Budget:
    status = item.get("status", {})
    return Budget(
        namespace=item["metadata"]["namespace"],
        name=item["metadata"]["name"],
        selector=item["spec"].get("selector"),
        healthy=status.get("currentHealthy", 0),
        desired=status.get("desiredHealthy", 0),
        allowed=status.get("disruptionsAllowed", 0),
    )


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels; in policy/v1 an empty one selects everything, none nothing."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _meets(rule, labels) for rule in selector.get("matchExpressions") or ()
    )


def _meets(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = rule["key"], rule.get("values") or []
    match rule["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:  # DoesNotExist
            return key not in labels
