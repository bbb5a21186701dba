"""Which hosts a run marks for a boot, and that one which was cut short is gone on with."""

import re
import secrets
from collections.abc import Mapping

import pytest

from kbootstrap.engine.lock import Owner
from kbootstrap.engine.plan import Plan
from kbootstrap.engine.selectors import limited
from kbootstrap.events import Event, Note, Sink
from kbootstrap.facts.boot import MARK, RebootDue
from kbootstrap.facts.fact import Facts, read
from kbootstrap.model.cluster import Cluster
from kbootstrap.workflows import reboot as workflow
from kbootstrap.workflows.converge import Before, Wish
from kbootstrap.workflows.playbooks import WORKERS
from kbootstrap.workflows.reboot import Reboots, reboot
from tests.fakes import FakeConnection
from tests.unit.workflows.guards.stage import BOUNDARY, RUN, expect_facts
from tests.unit.workflows.rollouts import site

CLUSTER = site(3, 2)
OWNER = Owner("me@here", RUN, "reboot", "2026-11-21T06:42:33+00:00")
WRITE = re.compile(f"umask 022; mkdir -p /run/kbootstrap; echo {RUN} >{MARK}")


class World:
    """Hosts, of which some are marked already; `converge` goes no further than to mark them."""

    def __init__(self, marked: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.hosts = {host.name: FakeConnection(host.name) for host in CLUSTER.hosts}
        for name, host in self.hosts.items():
            expect_facts(host, {RebootDue(): f"run={marked.get(name, '')}\n".encode()})
            host.expect(WRITE)
        self.events: list[Event] = []
        self.wish: Wish | None = None
        monkeypatch.setattr(secrets, "token_hex", lambda _bytes: BOUNDARY)
        monkeypatch.setattr(workflow, "converge", self.converge)

    def converge(self, cluster: Cluster, wish: Wish, _emit: Sink, *, command: str, before: Before) -> Plan:
        assert command == "reboot"
        self.wish = wish
        before({host.name: self.hosts[host.name] for host in limited(cluster, wish.limit)}, OWNER)
        return Plan(wish.playbook, ())

    def reboot(self, wanted: Reboots) -> set[str]:
        """The hosts that it marks."""
        reboot(CLUSTER, wanted, self.events.append)
        return {name for name, host in self.hosts.items() if any(WRITE.fullmatch(line) for line in host.commands)}


@pytest.mark.parametrize(
    ("wanted", "marked", "marks"),
    [
        (Reboots(), {}, {"cp1", "cp2", "cp3", "w1", "w2"}),
        (Reboots(limit=("worker",)), {}, {"w1", "w2"}),
        (Reboots(only_needed=True), {}, set()),
        (Reboots(), {"w2": "20261120-000000-0000"}, set()),
        (Reboots(limit=("w1",)), {"w2": "20261120-000000-0000"}, {"w1"}),
    ],
)
def test_who_is_marked(
    wanted: Reboots, marked: dict[str, str], marks: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert World(marked, monkeypatch).reboot(wanted) == marks


def test_a_run_that_goes_on_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"cp3": "20261120-000000-0000", "w2": "20261120-000000-0000"}, monkeypatch)
    world.reboot(Reboots())
    [note] = [event for event in world.events if isinstance(event, Note)]
    assert note.text == "going on with a run that was cut short: cp3, w2, and no others"


def test_a_host_that_cannot_be_marked_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({}, monkeypatch)
    broken = FakeConnection("w1")
    expect_facts(broken, {RebootDue(): b"run=\n"})
    broken.expect(WRITE, exit_code=1, stderr="No space left on device")
    world.hosts["w1"] = broken
    with pytest.raises(Exception, match="could not mark the host"):
        world.reboot(Reboots())


def test_workers_go_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({}, monkeypatch)
    world.reboot(Reboots(batch="50%"))
    assert world.wish is not None
    assert {phase.serial for phase in world.wish.playbook.phases if phase.phase == WORKERS} == {"50%"}


def test_the_mark_that_is_written_is_the_mark_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda _bytes: BOUNDARY)
    host = FakeConnection()
    expect_facts(host, {RebootDue(): f"run={RUN}\n".encode()})
    seen: Facts = read(host, (RebootDue(),))
    assert seen[RebootDue()].run == RUN
    assert f"cat {MARK}" in host.commands[0]
