"""A node without pods: cordoned, its pods evicted as their disruption budgets allow, uncordoned afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kbootstrap.components.cordons import cordon, uncordon
from kbootstrap.components.kubectl import kubectl
from kbootstrap.errors import CheckFailed, KbootstrapError
from kbootstrap.facts.budgets import Budgets
from kbootstrap.facts.fact import read
from kbootstrap.facts.pods import PodStates
from kbootstrap.workflows.guards.scene import Scene

_PODS = PodStates(kubectl(""))
_BUDGETS = Budgets(kubectl(""))

UNDRAINED_KINDS = ("DaemonSet", "Node")
"""Whose pods stay: a DaemonSet puts them back at once, and mirror pods (owned by their Node) are files."""


@contextmanager
def drained(scene: Scene) -> Iterator[None]:
    """The host's node has no pods but those of DaemonSets, and gets no new ones.

    A drain that fails leaves the node as it was found; work that fails leaves it cordoned. A node that somebody
    else has cordoned stays so. Raises CheckFailed, which names the budgets that forbid an eviction.
    """
    ours = _cordon(scene)
    try:
        _evict(scene)
    except KbootstrapError:
        if ours:
            with suppress(KbootstrapError):  # the drain's own failure matters more, and the next run uncordons
                _uncordon(scene)
        raise
    yield
    if ours:
        _uncordon(scene)


def _cordon(scene: Scene) -> bool:
    """Whether the node is cordoned by us; false when it was cordoned already, by somebody else."""
    marks = r'{.spec.unschedulable}{"\t"}{.metadata.annotations.kbootstrap\.io/cordoned}'
    said = scene.api.run(kubectl(f"get node {scene.host.name} --output=jsonpath='{marks}'"))
    unschedulable, _, by = said.require("the node cannot be read").text.partition("\t")
    if unschedulable == "true" and not by:
        scene.note("is cordoned already, and stays so")
        return False
    _change(scene, cordon(scene.host.name, scene.run))
    return True


def _uncordon(scene: Scene) -> None:
    _change(scene, uncordon(scene.host.name))


def _change(scene: Scene, command: str) -> None:
    scene.api.run(command).require("the node cannot be changed")


def _evict(scene: Scene) -> None:
    seconds = scene.cluster.settings.upgrades.drain_seconds
    command = kubectl(
        f"drain {scene.host.name} --ignore-daemonsets --delete-emptydir-data --timeout={seconds}s", timeout=60
    )
    done = scene.api.run(command, timeout=seconds + 60)
    if done.ok:
        return
    budgets = _blocking(scene)
    raise CheckFailed(
        f"could not be drained within {seconds} s",
        host=scene.host.name,
        output="\n".join([*(f"PodDisruptionBudget {budget}" for budget in budgets), done.errors]),
        hint="it serves as before; "
        + (
            "give the budget room (more replicas, or more that may be missing), then run the same command again"
            if budgets
            else "mend what is named above, then run the same command again"
        ),
    )


def _blocking(scene: Scene) -> list[str]:
    """The budgets that let no further pod of this node go."""
    seen = read(scene.api, (_PODS, _BUDGETS))
    pods = [
        pod
        for pod in seen[_PODS] or ()
        if pod.node == scene.host.name and pod.owner.split(" ")[0] not in UNDRAINED_KINDS and not pod.terminating
    ]
    return [budget.said for budget in seen[_BUDGETS] if budget.allowed < 1 and any(budget.covers(pod) for pod in pods)]
