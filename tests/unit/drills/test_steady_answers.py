"""Waiting for a cluster that answers quickly, before anything is done to it."""

import time

from kbootstrap.drills import steady
from kbootstrap.drills.steady import wait_until_quick
from kbootstrap.probes.recording import Recording
from kbootstrap.probes.samples import Samples, Track


def answered(*seconds: float) -> Recording:
    """Requests that were answered just now."""
    recording, made = Recording(("api-new",)), Track("api-new")
    for one in seconds:
        made.began.append(time.monotonic() - one)
        made.seconds.append(one)
        made.serials.append(0)
    recording._samples = Samples([made])
    return recording


def test_a_quick_cluster_is_not_waited_for() -> None:
    began = time.monotonic()
    wait_until_quick(answered(*[0.01] * 200, 0.9), 4.0, began + 30)
    assert time.monotonic() - began < steady.CALM_PAUSE


def test_a_slow_one_is_waited_for_until_its_slow_answers_are_over() -> None:
    began = time.monotonic()
    wait_until_quick(answered(*[0.9] * 10), 1.0, began + 30)
    assert 1.0 <= time.monotonic() - began < 10


def test_a_slow_one_is_not_waited_for_for_ever() -> None:
    began = time.monotonic()
    wait_until_quick(answered(*[0.9] * 10), 20.0, began + 1.0)
    assert 1.0 <= time.monotonic() - began < 10
