"""How many replicas of the application are ready, as a PodDisruptionBudget counts them."""

import json
from typing import Any


def ready_replicas(pods: bytes) -> int:
    """Of a list of pods as the API gives it: those that are ready and are not being deleted."""
    return sum(_counts(pod) for pod in json.loads(pods)["items"])


def _counts(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]
