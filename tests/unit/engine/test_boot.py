"""A boot: asked for, waited for, and over when the host says that it is another one."""

import re
from dataclasses import dataclass

import pytest

from kbootstrap.engine import boot
from kbootstrap.engine.boot import booted
from kbootstrap.engine.plan import Plan, Task
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.engine.runner import Runner
from kbootstrap.errors import CheckFailed, CommandFailed, KbootstrapError, Unreachable
from kbootstrap.facts.boot import BootState, RebootDue
from kbootstrap.facts.fact import Facts
from kbootstrap.steps.reboot import Reboot
from kbootstrap.steps.step import Change, Serving
from tests.fakes import FakeConnection

BEFORE, AFTER = "7d1f5b3c-old", "c02a91ee-new"
LOST = Unreachable("the connection was lost", host="cp1")
ASKED = "cat /proc/sys/kernel/random/boot_id"
REFUSED = Unreachable("connection refused", host="cp1")
EVERYTHING = re.compile(".*", re.DOTALL)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "PAUSE_SECONDS", 0.001)


@dataclass(slots=True)
class Host(FakeConnection):
    """Does not let anybody in for so many attempts."""

    refusals: int = 0

    def reconnect(self, *, timeout: float) -> None:
        assert timeout > 0
        FakeConnection.reconnect(self, timeout=timeout)
        if self.reconnections <= self.refusals:
            raise REFUSED


def says(host: FakeConnection, *answers: str | KbootstrapError) -> None:
    for answer in answers:
        if isinstance(answer, str):
            host.expect(ASKED, answer)
        else:
            host.expect(ASKED, error=answer)


@pytest.mark.parametrize(
    ("answers", "refusals", "reconnections"),
    [
        ([AFTER], 0, 0),
        ([BEFORE, BEFORE, LOST, AFTER], 0, 1),
        ([BEFORE, LOST, LOST, LOST, AFTER], 2, 3),
        ([BEFORE, LOST, BEFORE, BEFORE, LOST, AFTER], 0, 2),  # the network was away, and then the host
        ([BEFORE, CommandFailed("did not end within 10 s"), AFTER], 0, 1),
        ([BEFORE, LOST, LOST, AFTER], 0, 1),  # let in while systemd was still starting, and thrown out again
    ],
)
def test_a_host_comes_back(answers: list[str | KbootstrapError], refusals: int, reconnections: int) -> None:
    host = Host(refusals=refusals)
    says(host, *answers)
    booted(host, BEFORE, timeout=30)
    assert host.reconnections == reconnections


def test_a_host_that_never_comes_back() -> None:
    host = Host(refusals=10**9)
    says(host, BEFORE, LOST)
    with pytest.raises(CheckFailed) as caught:
        booted(host, BEFORE, timeout=0.05)
    assert (caught.value.host, caught.value.message) == ("cp1", "has not come back from its boot within 0 s")
    assert "connection refused" in (caught.value.output or "")
    assert "console" in (caught.value.hint or "")


def test_a_host_that_does_not_boot() -> None:
    host = Host()
    says(host, BEFORE)
    with pytest.raises(CheckFailed) as caught:
        booted(host, BEFORE, timeout=0.05)
    assert "still runs since the boot before" in (caught.value.output or "")


REBOOT = Change("boot the host anew", "systemctl reboot", "reboot", disrupts=True, reboots=True)


def run(host: FakeConnection, task: Task, timeouts: float = 1.0) -> None:
    Runner(
        plan=Plan(Playbook(name="some", phases=(Phase(phase="one", rolling=True),)), (task,)),
        connections={"cp1": host},
        deliver=lambda _connection, _digests: "",
        checks=lambda _task: [],
        emit=lambda _event: None,
        scale=timeouts,
    ).run()


def test_the_runner_waits_for_a_boot() -> None:
    host = Host()
    says(host, BEFORE, BEFORE, LOST, AFTER)
    host.expect(EVERYTHING)
    run(host, Task("one", "cp1", (REBOOT,), serving=True))
    assert host.reconnections == 1
    assert [command == ASKED for command in host.commands] == [True, False, True, True, True]


def test_a_boot_that_cannot_be_asked_for_is_not_waited_for() -> None:
    host = Host()
    says(host, BEFORE)
    host.expect(EVERYTHING, exit_code=1, stderr="Failed to connect to bus")
    with pytest.raises(CommandFailed, match="could not boot the host anew"):
        run(host, Task("one", "cp1", (REBOOT,), serving=True))
    assert host.commands.count(ASKED) == 1


def test_a_host_that_does_not_say_which_boot_it_runs_since_is_left_alone() -> None:
    host = Host()
    host.expect(ASKED, exit_code=1)
    with pytest.raises(CommandFailed, match="which boot"):
        run(host, Task("one", "cp1", (REBOOT,), serving=True))
    assert host.commands == [ASKED]


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (BootState("", required=False), None),
        (BootState("20261121-1", required=False), "run 20261121-1 wants it"),
        (BootState("", required=True), "its packages ask for it"),
        (BootState("20261121-1", required=True), "run 20261121-1 wants it"),
    ],
)
def test_when_a_boot_is_due(state: BootState, why: str | None) -> None:
    seen = Facts({RebootDue(): state})
    change = Reboot().diff(seen, frozenset())
    assert (change.diff if change else None) == why
    assert isinstance(Reboot(), Serving)
    assert Reboot().serves(seen)


def test_a_boot_is_felt_and_comes_when_it_is_asked_for() -> None:
    change = Reboot().diff(Facts({RebootDue(): BootState("run", required=False)}), frozenset())
    assert change is not None
    assert change.disrupts
    assert change.reboots
    assert "--on-active=1 " in change.script
    assert "AccuracySec=" in change.script  # a timer of systemd's may be a minute late otherwise
