"""A drill from one end to the other, on hosts that are played: what refuses it, what it finds, what it leaves."""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kbootstrap.drills import runner, striking
from kbootstrap.drills.drill import Drill, Fault
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.measure import unbroken
from kbootstrap.drills.result import DrillResult, Kind, Verdict
from kbootstrap.drills.runner import Order, run_drill
from kbootstrap.drills.steady import Steadiness
from kbootstrap.errors import KbootstrapError, Locked, Unreachable
from kbootstrap.events import Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.drills import Drills
from kbootstrap.probes import ledger
from kbootstrap.probes.recording import Recording
from kbootstrap.probes.samples import Samples
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.probing import ProbeSettings
from tests.fakes import FakeConnection
from tests.golden.sites import TOPOLOGIES
from tests.unit.drills.stage import ARM, HEAL, VIP, drill, status, track

CLUSTER = replace(VIP, settings=VIP.settings.model_copy(update={"drills": Drills(production=False)}))
STRIKE = "systemctl kill --signal=KILL x.service"
FAULT = Fault("kill x on cp2", ("cp2",), {"cp2": STRIKE}, {"cp2": "systemctl start x.service"}, seconds=0.0)


@dataclass
class World:
    """What a drill meets: hosts, a cluster's condition, what the probes see."""

    cluster: Cluster = CLUSTER
    unreachable: Mapping[str, KbootstrapError] = field(default_factory=dict)
    troubles: list[tuple[str, ...]] = field(default_factory=list)
    """At each look; none any more when they are used up."""
    lost: tuple[str, ...] = ()
    written: list[float] = field(default_factory=list)
    """When requests of `write-new` began that were acknowledged."""
    failed: list[str] = field(default_factory=list)
    """Why requests fail before anything is done."""
    cuts: list[tuple[float, str]] = field(default_factory=list)
    """When the watch broke, and why."""
    locked: bool = False
    probed: bool = False
    entry: str = ""
    """Where the probes were told to ask for the application."""
    tells: Mapping[str, str] = field(default_factory=dict)
    """What hosts say of their addresses while they are listened to."""
    spared: Collection[str] = ()
    """To whom the probes were told that something will be done."""

    def __post_init__(self) -> None:
        self.hosts = {host.name: FakeConnection(host.name) for host in self.cluster.hosts}
        lock = re.compile("(?s)umask 022.*flock.*")
        for host in self.hosts.values():
            host.expect(ARM)
            host.expect(HEAL)
            host.expect(f"set -eu\n{STRIKE}\n")
            host.expect(lock, "busy" if self.locked else "held\n")
            host.expect(re.compile("(?s).*mark.json.*"), "\x1e\n0123456789abcdef\n")
            host.expect(re.compile("(?s).*monitor address.*"), f"listens\n{self.tells.get(host.name, '')}\n")
            host.expect(re.compile("rm -rf /run/kbootstrap/lookout-.*"))
            host.expect(re.compile(".*journal.jsonl.*"))

    @contextmanager
    def reached(self, _cluster: Cluster) -> Iterator[tuple[dict[str, Connection], Mapping[str, KbootstrapError]]]:
        yield dict(self.hosts), self.unreachable

    def look(self, _cluster: Cluster, _connections: object, _at_once: int = 64) -> Steadiness:
        return Steadiness(status(self.cluster), self.troubles.pop(0) if self.troubles else ())

    @contextmanager
    def probing(
        self, _cluster: Cluster, _connections: object, _emit: Sink, settings: ProbeSettings
    ) -> Iterator[Recording]:
        self.probed, self.spared, self.entry = True, settings.hurt(), settings.entry
        recording = Recording(())
        recording._samples = Samples([track("api-new", [0.0]), track("write-new", self.written)], cuts=self.cuts)
        yield recording
        recording.ledgers = (ledger.Verdict("the API", 10, 0, 0, self.lost),)

    def calm(self, *_: object) -> list[str]:
        return self.failed

    def done(self, word: str) -> list[str]:
        """The hosts to which something was done."""
        return [name for name, host in self.hosts.items() if any(word in line for line in host.commands)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    made = World()
    enter(made, monkeypatch, tmp_path)
    return made


def enter(made: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("kbootstrap.facts.fact.secrets.token_hex", lambda _count: "0123456789abcdef")
    monkeypatch.setattr(runner, "reached", made.reached)
    monkeypatch.setattr(runner, "look", made.look)
    monkeypatch.setattr(striking, "look", made.look)
    monkeypatch.setattr(runner, "probed", made.probing)
    monkeypatch.setattr(runner, "wait_until_calm", made.calm)
    monkeypatch.setattr(striking, "wait_until_calm", lambda *_: [])
    monkeypatch.setattr(runner, "GRACE_SECONDS", 0.0)


STATUS = "`kbootstrap status` says what to do; then run the drill again"


def run(one: Drill | None = None, cluster: Cluster = CLUSTER, order: Order | None = None) -> DrillResult:
    return run_drill(cluster, one or drill(lambda _ground: FAULT), order or Order(), lambda _event: None)


def test_it_passes(world: World) -> None:
    result = run()
    assert (result.verdict, result.problems, result.hosts) == (Verdict.PASSED, (), ("cp2",))
    assert [moment.kind for moment in result.moments] == [
        Kind.STEADY,
        Kind.ARMED,
        Kind.FAULT,
        Kind.RECOVER,
        Kind.STEADY_AGAIN,
    ]
    assert (world.done(STRIKE), world.spared) == (["cp2"], ("cp2",))
    assert result.setting["Kubernetes"] == str(CLUSTER.kubernetes)
    assert result.began <= datetime.now(UTC)
    assert all(host.held == [] for host in world.hosts.values())


SHOWN = "2: {}    inet 198.18.0.100/32 scope global {}\\       valid_lft forever preferred_lft forever"


@pytest.mark.parametrize(
    ("topology", "entry", "listened", "moved"),
    [
        ("vip", "endpoint", ["cp1", "cp2", "cp3"], ["cp2"]),
        ("local", "endpoint", ["cp1", "cp2", "cp3"], []),
        ("external-endpoint", "nodes", ["cp1", "cp2", "cp3"], []),
        ("load-balancers", "nodes", ["cp1", "cp2", "cp3", "lb1", "lb2"], ["lb2"]),
        ("lvs-dr", "nodes", ["cp1", "cp2", "cp3", "lb1", "lb2"], ["lb2"]),
    ],
)
def test_whose_vip_it_is_and_where_applications_are(
    topology: str, entry: str, listened: list[str], moved: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A real server of LVS gets the VIP, too, when its unit starts: that is no hand-over."""
    there = TOPOLOGIES[topology]
    cluster = replace(there, settings=there.settings.model_copy(update={"drills": Drills(production=False)}))
    tells = {"cp2": SHOWN.format("lo", "lo"), "lb2": SHOWN.format("eth0", "eth0")}
    made = World(cluster, tells=tells)
    enter(made, monkeypatch, tmp_path)
    result = run(cluster=cluster)
    assert result.verdict is Verdict.PASSED
    assert (made.entry, made.done("monitor address")) == (entry, listened)
    assert [moment.host for moment in result.moments if moment.kind is Kind.VIP_MOVED] == moved
    assert ("VRRP interval" in result.setting) == bool(moved)
    assert ("LVS" in result.setting, "load balancers" in result.setting["hosts"]) == (
        topology == "lvs-dr",
        "lb1" in listened,
    )


def test_every_host_notes_that_it_began_and_how_it_ended(world: World) -> None:
    run()
    for host in world.hosts.values():
        noted = [line for line in host.commands if "journal.jsonl" in line]
        assert ['"started"' in noted[0], '"ok"' in noted[-1], len(noted)] == [True, True, 2]


@pytest.mark.parametrize("cuts", [[], [(math.inf, "silent")]])
def test_what_must_be_so_and_is_not_fails_it(world: World, cuts: list[tuple[float, str]]) -> None:
    world.cuts = cuts
    result = run(drill(lambda _ground: FAULT, unbroken("open connections go on")))
    assert (result.verdict is Verdict.FAILED) == bool(cuts)
    assert [problem.partition(";")[0] for problem in result.problems] == [
        "open connections go on: not so: 1 broke" for _ in cuts
    ]
    assert result.outage == result.felt


@pytest.mark.parametrize("lost", [(), ("write-new-0000007",)])
def test_hosts_note_its_verdict(world: World, lost: tuple[str, ...]) -> None:
    world.lost = lost
    run()
    for host in world.hosts.values():
        last = [line for line in host.commands if "journal.jsonl" in line][-1]
        assert ('"failed"' in last, "are not in the API" in last) == (bool(lost), bool(lost))


def test_one_that_is_stopped_while_it_reads_back_was_interrupted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_story: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "judged", stopped)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert all('"interrupted"' in host.commands[-1] for host in world.hosts.values())


def test_a_lost_write_fails_it(world: World) -> None:
    world.lost = ("write-new-0000007",)
    result = run()
    assert result.verdict is Verdict.FAILED
    assert result.problems == ("1 acknowledged writes are not in the API, such as write-new-0000007",)


def test_what_was_acknowledged_after_a_backup_may_be_lost(world: World) -> None:
    def back_up(ground: Ground) -> None:
        ground.kept_until = 0.0

    world.lost, world.written = ("write-new-0000000",), [1.0]
    assert run().verdict is Verdict.FAILED
    assert run(drill(lambda _ground: replace(FAULT, before=back_up))).verdict is Verdict.PASSED


def test_users_depend_on_it(world: World) -> None:
    result = run(cluster=VIP)
    assert result.verdict is Verdict.REFUSED
    assert "users depend on" in result.problems[0]
    assert all(host.ran == [] for host in world.hosts.values())
    assert run(cluster=VIP, order=Order(allowed=VIP.name)).verdict is Verdict.PASSED


def test_a_degraded_cluster_is_refused(world: World) -> None:
    world.troubles = [("cp3: its etcd member does not answer",)]
    result = run()
    assert (result.verdict, result.problems) == (
        Verdict.REFUSED,
        ("the cluster is degraded", "cp3: its etcd member does not answer", STATUS),
    )
    assert (world.probed, world.done("systemd-run"), world.done(STRIKE)) == (False, [], [])


def test_a_host_that_cannot_be_reached_is_a_degraded_cluster(world: World) -> None:
    world.unreachable = {"w1": Unreachable("no route to host")}
    assert run().problems == ("the cluster is degraded", "w1 cannot be reached: no route to host", STATUS)
    assert not world.done("flock")


def test_another_run_has_the_lock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def locked(*_: object) -> Iterator[None]:
        raise Locked("anna is running `up` on this cluster")
        yield

    monkeypatch.setattr(runner, "locked", locked)
    result = run()
    assert (result.verdict, result.problems) == (Verdict.REFUSED, ("anna is running `up` on this cluster",))
    assert not world.probed


def test_requests_fail_before_anything_is_done(world: World) -> None:
    world.failed = ["api-new: 3 requests failed; first: refused"]
    result = run()
    assert result.verdict is Verdict.REFUSED
    assert result.problems[1:] == ("api-new: 3 requests failed; first: refused",)
    assert not world.done("systemd-run")


def test_no_quorum_would_be_left(world: World) -> None:
    both = replace(FAULT, hosts=("cp1", "cp2"))
    result = run(drill(lambda _ground: both))
    assert (result.verdict, result.problems) == (
        Verdict.REFUSED,
        ("1 of 3 etcd members would be left, and 2 are needed",),
    )
    assert result.possible
    assert not world.done("systemd-run")


def test_what_the_inventory_lacks(world: World) -> None:
    result = run(drill(lambda _ground: FAULT, needs=lambda _cluster: "there is no power switch"))
    assert (result.verdict, result.problems) == (Verdict.REFUSED, ("not possible here: there is no power switch",))
    assert not result.possible
    assert not world.done("flock")


def test_not_steady_again_is_a_failure(world: World) -> None:
    world.troubles = [(), (), ("w1: the node is not Ready",), ("w1: the node is not Ready",)]
    result = run(drill(lambda _ground: FAULT, healing=0.0))
    assert result.verdict is Verdict.FAILED
    assert result.problems[-1] == "w1: the node is not Ready"
    assert result.recovery is None


def test_a_cluster_that_is_degraded_when_the_probes_are_there_is_not_hurt(world: World) -> None:
    world.troubles = [(), ("w1: the node is not Ready",)]
    result = run()
    assert (result.verdict, result.problems[1]) == (Verdict.REFUSED, "w1: the node is not Ready")
    assert not world.done("systemd-run")


def test_who_leads_now_is_whom_it_is_for(world: World) -> None:
    leaders = iter(["cp2", "cp3"])
    result = run(drill(lambda _ground: replace(FAULT, hosts=(next(leaders),))))
    assert result.verdict is Verdict.REFUSED
    assert result.problems[0] == "cp3 would be hurt now, and it was cp2 when the drill began"
    assert not world.done("systemd-run")


def test_an_interrupt_before_anything_was_done_is_no_result(world: World) -> None:
    def interrupted(_ground: object) -> Fault:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(drill(interrupted))
    assert not world.done("systemd-run")


def test_what_a_killed_drill_has_left_is_undone_first_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = World()
    mark = '{"run": "r", "drill": "partition", "who": "me@there", "since": "10:00"}'
    host = made.hosts["cp3"] = FakeConnection("cp3")
    host.expect(re.compile("(?s).*cat .*mark.json.*"), f"{mark}\n\x1e\n0123456789abcdef\n")
    host.expect(re.compile("(?s).*"), "held\n")
    enter(made, monkeypatch, tmp_path)
    result = run()
    assert result.verdict is Verdict.PASSED
    assert result.remarks == ("cp3: the drill partition of me@there (10:00) was cut short; it is undone now",)
    assert len([line for line in host.commands if HEAL.fullmatch(line)]) == 1
