"""Nobody's pods are worse off than before the work on a host."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kbootstrap.components.kubectl import kubectl
from kbootstrap.errors import CheckFailed
from kbootstrap.facts.fact import read
from kbootstrap.facts.pods import PodState, PodStates, newly_unwell
from kbootstrap.workflows.guards.scene import Scene

SETTLE_SECONDS = 180.0
"""How long pods that moved may take until they are ready elsewhere: images are pulled, volumes attached."""

POLL_SECONDS = 1.0

_PODS = PodStates(kubectl(""))


@contextmanager
def no_new_failures(scene: Scene) -> Iterator[None]:
    """Waits after the work until no owner has more pods unwell than before. Raises CheckFailed, which names them.

    Where the API does not say how the pods are before the work, there is nothing to compare with.
    """
    before = _pods(scene)
    yield
    if before is None:
        scene.note("the API did not say how the pods were before, so nobody knows whether they are worse now")
        return
    deadline = time.monotonic() + SETTLE_SECONDS * scene.scale
    while (worse := _worse(before, _pods(scene))) != []:
        if time.monotonic() >= deadline:
            raise CheckFailed(
                f"pods that were well before are not ready after {SETTLE_SECONDS * scene.scale:.0f} s",
                host=scene.host.name,
                output="\n".join(pod.why for pod in worse) if worse else "the API does not say how the pods are",
                hint="kubectl describe pod says why; run the same command again once they are ready",
            )
        time.sleep(POLL_SECONDS)


def _worse(before: tuple[PodState, ...], now: tuple[PodState, ...] | None) -> list[PodState] | None:
    """None when the API does not answer."""
    return None if now is None else newly_unwell(before, now)


def _pods(scene: Scene) -> tuple[PodState, ...] | None:
    return read(scene.api, (_PODS,))[_PODS]
