"""Who leads goes last, and only where it matters is anybody asked."""

import json
import secrets

import pytest

from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.engine.plan import Plan, Task
from kbootstrap.engine.playbook import Phase, Playbook
from kbootstrap.facts.etcd import EtcdStatus
from kbootstrap.steps.step import Change
from kbootstrap.workflows.leaders import _LEADS_CONTROLLERS, LEADERS, leaders_last, leads_controllers, leads_etcd
from tests.fakes import FakeConnection
from tests.local_host import shell
from tests.unit.workflows.guards.stage import BOUNDARY, expect_facts

ETCD = Phase(phase="etcd", rolling=True, last="etcd-leader")
RESTART = Change("restart etcd.service", "true", "fingerprint", disrupts=True)
DELIVER = Change("deliver etcd", "true", "fingerprint")


@pytest.fixture(autouse=True)
def boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda _bytes: BOUNDARY)


def member(name: str, number: int, leader: int) -> FakeConnection:
    """A host whose member is `number`, and knows this leader; 0: it does not answer."""
    host = FakeConnection(name)
    status = [{"Status": {"header": {"member_id": number}, "leader": leader}}]
    expect_facts(host, {EtcdStatus(LOCAL_BIN / "etcdctl"): json.dumps(status).encode() if number else b""})
    return host


def members(leader: int) -> dict[str, FakeConnection]:
    return {name: member(name, number, leader) for number, name in enumerate("abc", start=1)}


def order(plan: Plan) -> str:
    return "".join(task.host for task in plan.tasks)


def plan(*tasks: Task, phase: Phase = ETCD) -> Plan:
    return Plan(Playbook(name="some", phases=(phase,)), tasks)


RESTARTS = tuple(Task("etcd", host, (RESTART,), serving=True) for host in "abc")


@pytest.mark.parametrize(("leader", "expected"), [(1, "bca"), (2, "acb"), (3, "abc"), (0, "abc"), (9, "abc")])
def test_the_leader_of_etcd_goes_last(leader: int, expected: str) -> None:
    assert order(leaders_last(plan(*RESTARTS), dict(members(leader)))) == expected


def test_a_member_that_does_not_answer_leads_nobody() -> None:
    assert not leads_etcd(member("a", 0, 0))
    assert leads_etcd(member("a", 1, 1))
    assert not leads_etcd(member("a", 1, 0))  # knows of no leader


@pytest.mark.parametrize(
    ("tasks", "phase"),
    [
        (RESTARTS, Phase(phase="etcd", rolling=True)),
        (RESTARTS[:1], ETCD),
        ([Task("etcd", host, (DELIVER,), serving=True) for host in "abc"], ETCD),
        ([Task("etcd", host, (RESTART,), serving=False) for host in "abc"], ETCD),
        ([Task("etcd", host, (), serving=True) for host in "abc"], ETCD),
    ],
)
def test_nobody_is_asked_where_it_does_not_matter(tasks: list[Task], phase: Phase) -> None:
    hosts = members(1)
    assert order(leaders_last(plan(*tasks, phase=phase), dict(hosts))) == order(plan(*tasks))
    assert not any(host.ran for host in hosts.values())


def test_only_who_is_restarted_is_asked() -> None:
    hosts = members(2)
    tasks = (*RESTARTS[:2], Task("etcd", "c", (), serving=True))
    assert order(leaders_last(plan(*tasks), dict(hosts))) == "acb"
    assert not hosts["c"].ran


@pytest.mark.parametrize(("code", "leads"), [(0, True), (1, False)])
def test_whose_controller_manager_leads(code: int, leads: bool) -> None:
    host = FakeConnection("cp1")
    host.expect(_LEADS_CONTROLLERS, exit_code=code)
    assert leads_controllers(host) is leads


@pytest.mark.parametrize(("holder", "leads"), [("$(hostname)_1b2c", True), ("other_1b2c", False), ("", False)])
def test_a_holder_is_known_by_its_hosts_name(holder: str, leads: bool) -> None:
    script = f"said() {{ echo {holder}; }}\n{_LEADS_CONTROLLERS}".replace("/usr/local/bin/kubectl", "said")
    assert shell(script).ok is leads


def test_the_names() -> None:
    assert set(LEADERS) == {"etcd-leader", "controllers-leader"}
