"""A cluster's condition and what follows from it: healthy, broken in every part, and unreadable."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Interface
from pathlib import PurePosixPath
from typing import Any

import pytest

from kbootstrap.facts.disks import DiskSpace
from kbootstrap.facts.drills import DrillMark, Mark
from kbootstrap.facts.etcd import EtcdStatus, MemberStatus
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.health import Answer, Health
from kbootstrap.facts.identity import Identity, Interface
from kbootstrap.facts.nodes import ApiView, KubeNodes, Lease, NodeState
from kbootstrap.facts.pki import CertificateExpiry, Expiry
from kbootstrap.facts.proxies import Proxied, ProxiedServers
from kbootstrap.facts.runs import LastLines, LockNote
from kbootstrap.facts.units import NO_UNIT, UnitState, UnitStatus
from kbootstrap.model.cluster import Host
from kbootstrap.workflows.diagnosis import Trouble, troubles
from kbootstrap.workflows.status import Status, Unread, condition, status_facts
from tests.unit.workflows.hosts import ROOM, VIP, cluster, identity

CLUSTER = cluster()
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
RUNNING = UnitStatus(True, "active", "running", "enabled", False, "", "")
MEMBERS = {"cp1": 11, "cp2": 12, "cp3": 13}
STARTED = (
    '{"run": "r1", "at": "2026-11-21T03:46:41+00:00", "who": "root@vm", "command": "up", "outcome": "started",'
    ' "changes": 650, "seconds": 0.0, "error": ""}\n'
)
ENDED = STARTED.replace("started", "ok").replace('"seconds": 0.0', '"seconds": 35.1')


def member(host: str, **changed: Any) -> MemberStatus:
    good = MemberStatus(
        member=MEMBERS[host],
        leader=MEMBERS["cp2"],
        version="3.6.16",
        revision=655,
        raft_term=3,
        raft_index=90_000,
        raft_applied=90_000,
        db_bytes=860_160,
        db_used_bytes=860_160,
        learner=False,
        alarms=(),
    )
    return replace(good, **changed)


def node(name: str, **changed: Any) -> NodeState:
    return replace(NodeState(name, NOW - timedelta(days=3), "1.36.4", "True", "", True), **changed)


def view(*nodes: NodeState) -> ApiView:
    leases = (Lease("kube-controller-manager", "cp1_12ccacd4", NOW), Lease("kube-scheduler", "cp3_e3f1baad", NOW))
    by_name = {host.name: node(host.name) for host in CLUSTER.hosts} | {node.name: node for node in nodes}
    return ApiView(tuple(by_name.values()), leases)


def facts(host: Host, changed: Mapping[Fact[Any], object] | None = None) -> Facts:
    """A host of a healthy cluster; cp1 holds the VIP."""
    found: dict[Fact[Any], object] = {fact: good(host, fact) for fact in status_facts(CLUSTER, host)}
    return Facts(found | dict(changed or {}))


def good(host: Host, fact: Fact[Any]) -> object:
    match fact:
        case Identity():
            addresses = [f"{host.address}/24", *([f"{VIP}/32"] if host.name == "cp1" else [])]
            interface = Interface("eth0", 1500, tuple(IPv4Interface(address) for address in addresses))
            return replace(identity(host), interfaces=(interface,))
        case LastLines():
            return STARTED + ENDED
        case LockNote():
            return ""
        case DrillMark():
            return None
        case DiskSpace():
            return ROOM
        case CertificateExpiry():
            return (Expiry(PurePosixPath("/etc/kubernetes/admin.conf"), "CN=admin", NOW + timedelta(days=300)),)
        case Health():
            return Answer(200, 0.004)
        case UnitState():
            return RUNNING
        case EtcdStatus():
            return member(host.name)
        case KubeNodes():
            return view()
        case ProxiedServers():
            return tuple(Proxied(str(member.address), "in", "ready", "-") for member in CLUSTER.control_planes)
    raise AssertionError(f"{fact} is new: say what it is on a good host")


def status(
    changed: Mapping[str, Mapping[Fact[Any], object]] | None = None, *, unreachable: tuple[str, ...] = ()
) -> Status:
    changes = changed or {}
    seen = {host.name: facts(host, changes.get(host.name)) for host in CLUSTER.hosts if host.name not in unreachable}
    return condition(CLUSTER, seen, dict.fromkeys(unreachable, Unread("no route to host", "look")), NOW)


def wrong(status: Status) -> list[Trouble]:
    return troubles(status, CLUSTER.settings)


def everywhere(kind: type[Fact[Any]], value: object) -> dict[str, dict[Fact[Any], object]]:
    return {
        host.name: {fact: value for fact in status_facts(CLUSTER, host) if isinstance(fact, kind)}
        for host in CLUSTER.hosts
    }


def fact_of(name: str, kind: type[Fact[Any]]) -> Fact[Any]:
    return next(fact for fact in status_facts(CLUSTER, CLUSTER.host(name)) if isinstance(fact, kind))


def test_a_healthy_cluster_has_no_troubles() -> None:
    found = status()
    assert wrong(found) == []
    assert found.vip_holders == ("cp1",)
    assert found.endpoint.answered == ("cp1", "cp2", "cp3", "w1")
    assert [(part.host, part.unit) for part in found.parts if part.leads] == [
        ("cp1", "kube-controller-manager.service"),
        ("cp3", "kube-scheduler.service"),
    ]
    assert found.last_run is not None
    assert (found.last_run.outcome, found.last_run.seconds) == ("ok", 35.1)


def test_a_disk_without_room_for_etcd() -> None:
    full = replace(ROOM, mount="/var/lib/etcd", free_bytes=3 * 2**20)
    [trouble] = wrong(status({"cp2": {fact_of("cp2", DiskSpace): full}}))
    assert (trouble.where, trouble.what) == (
        "cp2",
        "its disk with etcd's data is full: 3 MiB are left on /var/lib/etcd",
    )


def test_apiservers_that_proxies_pass_over() -> None:
    addresses = [str(host.address) for host in CLUSTER.control_planes]
    said = (
        f"{addresses[0]}\tin\tready\t-\n{addresses[1]}\tout\tplanned, for 9 s more; ready\t-\n"
        f"{addresses[2]}\tunready\t/readyz says 500\t2026-11-21T04:00:00Z\n"
    )
    fact = fact_of("cp1", ProxiedServers)
    assert isinstance(fact, ProxiedServers)
    seen: dict[Fact[Any], object] = {fact: fact.value(said.encode())}
    found = status({"cp1": seen, "cp3": seen})
    assert [(over.server, over.state, over.hosts) for over in found.passed_over] == [
        ("cp2", "out", ("cp1", "cp3")),
        ("cp3", "unready", ("cp1", "cp3")),
    ]
    assert found.passed_over[1].reason == "/readyz says 500"
    assert status().passed_over == ()
    assert fact.value(b"") == ()


def test_nothing_can_be_read() -> None:
    found = status(unreachable=("cp1", "cp2", "cp3", "w1"))
    assert (found.api, found.last_run, found.endpoint.seconds) == (None, None, None)
    assert [trouble.where for trouble in wrong(found)] == ["cp1", "cp2", "cp3", "w1"]


def test_one_host_is_gone() -> None:
    found = status(unreachable=("cp3",))
    assert [trouble.where for trouble in wrong(found)] == ["cp3"]
    assert [part.health for part in found.parts if part.host == "cp3"] == [None, None, None]
    assert found.members["cp3"] is None


def test_a_missing_host_may_hold_the_vip() -> None:
    found = status({"cp1": {Identity(): identity(CLUSTER.host("cp1"))}}, unreachable=("cp3",))
    assert found.vip_holders == ()
    assert [trouble.where for trouble in wrong(found)] == ["cp3"]


def test_two_hosts_hold_the_vip() -> None:
    holder = facts(CLUSTER.host("cp1"))[Identity()]
    [trouble] = wrong(status({"cp2": {Identity(): replace(holder, hostname="cp2")}}))
    assert "more than one host holds the VIP: cp1, cp2" in trouble.what


def test_no_quorum() -> None:
    etcd = fact_of("cp1", EtcdStatus)
    found = status({"cp1": {etcd: None}, "cp2": {etcd: None}})
    first = wrong(found)[0]
    assert (first.where, first.what) == (
        "etcd",
        "1 of 3 members answer, 2 are a quorum: nothing can be written",
    )


def test_members_without_a_leader() -> None:
    etcd = fact_of("cp1", EtcdStatus)
    found = status({name: {etcd: member(name, leader=0)} for name in MEMBERS})
    assert [trouble.what for trouble in wrong(found)] == ["no member knows of a leader: nothing can be written"]


def test_a_lone_member_without_a_leader_tells_that_the_others_are_gone() -> None:
    found = status({"cp1": {fact_of("cp1", EtcdStatus): member("cp1", leader=0)}}, unreachable=("cp2", "cp3"))
    assert [trouble.where for trouble in wrong(found)] == ["cp2", "cp3", "etcd"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"alarms": ("memberID:13 alarm:NOSPACE ",)}, "alarm:NOSPACE"),
        ({"raft_index": 10}, "89990 entries behind"),
        ({"db_bytes": 7 * 2**30}, "7168 MiB of 8192"),
    ],
)
def test_members_that_need_a_hand(changed: dict[str, Any], words: str) -> None:
    [trouble] = wrong(status({"cp3": {fact_of("cp3", EtcdStatus): member("cp3", **changed)}}))
    assert trouble.where == "cp3"
    assert words in trouble.what


def test_services_that_do_not_run_are_said_once_a_host() -> None:
    failed = UnitStatus(True, "failed", "failed", "enabled", False, "", "")
    [trouble] = wrong(status({"w1": {UnitState("kubelet.service"): failed, UnitState("flanneld.service"): failed}}))
    assert (trouble.where, trouble.what) == ("w1", "failed (failed): kubelet, flanneld")


def test_an_empty_host() -> None:
    found = status(everywhere(UnitState, NO_UNIT))
    assert [trouble.what for trouble in wrong(found) if trouble.where == "w1"] == [
        "not installed: containerd, kubelet, kube-proxy, flanneld"
    ]


def test_an_apiserver_that_is_not_ready() -> None:
    own = next(
        fact
        for fact in status_facts(CLUSTER, CLUSTER.host("cp2"))
        if isinstance(fact, Health) and "0.12:6443" in fact.url
    )
    [trouble] = wrong(status({"cp2": {own: Answer(500, 0.1)}}))
    assert trouble.what == "kube-apiserver.service is not healthy: HTTP 500"


def test_the_endpoint_answers_nobody() -> None:
    found = status(everywhere(Health, Answer(0, 2.0, "Connection timed out")))
    assert "answers nobody" in wrong(found)[0].what
    assert found.endpoint.failed["w1"] == "Connection timed out"


def test_the_endpoint_answers_some() -> None:
    health = fact_of("w1", Health)
    [trouble] = wrong(status({"w1": {health: Answer(0, 2.0, "Connection timed out")}}))
    assert trouble.what == "does not reach the API at its endpoint: Connection timed out"


def test_nodes_that_are_not_ready_or_missing() -> None:
    sick = ApiView((node("cp1"), node("cp2"), node("w1", ready="Unknown", message="Kubelet stopped posting.")), ())
    found = status(everywhere(KubeNodes, sick))
    assert [(trouble.where, trouble.what) for trouble in wrong(found)] == [
        ("cp3", "is not a node of the cluster"),
        ("w1", "the node is not Ready: Kubelet stopped posting."),
    ]


def test_any_control_plane_host_can_tell_of_the_nodes() -> None:
    nodes = fact_of("cp1", KubeNodes)
    assert wrong(status({"cp1": {nodes: None}, "cp2": {nodes: None}})) == []
    assert [trouble.where for trouble in wrong(status(everywhere(KubeNodes, None)))] == ["nodes"]


@pytest.mark.parametrize(("days", "words"), [(12, "expires in 12 days"), (-1, "has expired")])
def test_certificates_that_run_out(days: int, words: str) -> None:
    soon = (Expiry(PurePosixPath("/etc/kubernetes/kubelet.conf"), "CN=x", NOW + timedelta(days=days, hours=1)),)
    [trouble] = wrong(status({"w1": {CertificateExpiry(): soon}}))
    assert trouble.what == f"the certificate /etc/kubernetes/kubelet.conf {words}"


def test_a_run_that_was_cut_short() -> None:
    [trouble] = wrong(status(everywhere(LastLines, STARTED)))
    assert "was cut short" in trouble.what


def test_a_drill_that_was_cut_short_is_not_carried_on() -> None:
    [trouble] = wrong(status(everywhere(LastLines, STARTED.replace('"up"', '"drill run nginx-stop"'))))
    assert "`drill run nginx-stop`" in trouble.what
    assert trouble.next == "the next drill puts right what it has left"


@pytest.mark.parametrize("outcome", ["failed", "interrupted"])
def test_a_drill_that_did_not_pass_was_undone(outcome: str) -> None:
    ended = STARTED.replace('"up"', '"drill run nginx-stop"').replace('"started"', f'"{outcome}"')
    found = status(everywhere(LastLines, ended))
    assert found.last_run is not None
    assert (found.last_run.outcome, wrong(found)) == (outcome, [])
    assert wrong(status(everywhere(LastLines, STARTED.replace('"started"', f'"{outcome}"'))))


def test_the_newest_run_of_each_drill_is_known_whoever_ran_it() -> None:
    began = STARTED.replace('"up"', '"drill run nginx-stop"')
    failed = began.replace('"started"', '"failed"')
    later = failed.replace('"failed"', '"ok"').replace('"r1"', '"r2"').replace("T03", "T04")
    found = status(everywhere(LastLines, began + failed + later + STARTED.replace('"r1"', '"r3"')))
    assert [(run.run, run.command, run.outcome) for run in found.drilled] == [("r2", "drill run nginx-stop", "ok")]


def test_a_run_that_is_under_way_is_no_trouble() -> None:
    note = '548 {"who": "root@vm", "run": "r1", "command": "up", "since": "2026-11-21T03:46:37+00:00"}'
    found = status({**everywhere(LastLines, STARTED), "cp1": {fact_of("cp1", LockNote): note}})
    assert found.lock is not None
    assert found.lock.who == "root@vm"


def test_damaged_notes_are_passed_over() -> None:
    lines, notes = everywhere(LastLines, "{half a li"), everywhere(LockNote, "garbage")
    found = status({name: lines[name] | notes[name] for name in lines})
    assert (found.last_run, found.lock) == (None, None)


def test_what_a_drill_has_left_on_a_host() -> None:
    mark = Mark("r7", "vip-power-off", "ada@ops", "2026-11-21T03:50:00+00:00")
    assert status({"cp2": {DrillMark(): mark}}).drills == {"cp2": mark}
    assert status().drills == {}
