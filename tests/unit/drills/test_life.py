"""When a host was really gone."""

import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from kbootstrap.drills import life
from kbootstrap.drills.life import SCRIPT, SignsOfLife, signs_of_life
from kbootstrap.errors import CheckFailed, Unreachable
from tests.fakes import FakeConnection


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(life, "DYING_SECONDS", 0.6)


def test_a_host_gives_signs_until_it_is_gone() -> None:
    with subprocess.Popen(["sh", "-c", SCRIPT], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        assert [host.stdout.readline() for _ in range(3)] == [b"alive\n"] * 3
        host.terminate()


def test_of_several_hosts_the_first_that_was_silent_counts() -> None:
    began = time.monotonic()
    signs = SignsOfLife({"cp1": began, "w1": began})
    beating(lambda: signs.last.update(w1=time.monotonic()), seconds=0.3)
    assert signs.ended() == began
    assert time.monotonic() - began > 0.45


def test_a_host_that_lives_on_has_not_lost_its_power() -> None:
    signs = SignsOfLife({"w1": time.monotonic()})
    beating(lambda: signs.last.update(w1=time.monotonic()), seconds=1.5)
    with pytest.raises(CheckFailed, match="w1 lives on"):
        signs.ended()


def test_nobody_waits_for_one_that_cannot_be_heard() -> None:
    dead, began = FakeConnection("w2"), time.monotonic()
    dead.expect(SCRIPT, error=Unreachable("no route to host"))
    signs = signs_of_life({"w2": dead})
    assert signs.last == {}
    assert began <= signs.ended() <= time.monotonic() < began + 1


def beating(beat: Callable[[], None], seconds: float) -> None:
    """Beats now and for so long, beside the test."""
    until = time.monotonic() + seconds

    def go_on() -> None:
        while time.monotonic() < until:
            beat()
            time.sleep(0.02)

    threading.Thread(target=go_on, daemon=True).start()
