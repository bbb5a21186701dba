"""Drills where load balancers hold the VIP: whom they hurt, what they allow, and what stands in their way."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from kbootstrap.drills.catalogue import DRILLS
from kbootstrap.drills.drill import Drill, Fault
from kbootstrap.drills.faults import endpoint, partition, power, real_server
from kbootstrap.drills.guards import Refused
from kbootstrap.drills.reports.words import allowed, found
from kbootstrap.drills.result import Limit, Measured
from kbootstrap.drills.steady import look
from kbootstrap.facts.identity import Identity
from kbootstrap.facts.ipvs import VirtualServers
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.drills import Power
from kbootstrap.workflows.guards.addresses import FIT
from kbootstrap.workflows.status import Status
from tests.golden.sites import TOPOLOGIES
from tests.unit.drills.stage import VIP, Stage, status
from tests.unit.workflows.guards.stage import BOUNDARY, expect_facts

NGINX, DR, NAT = (TOPOLOGIES[name] for name in ("load-balancers", "lvs-dr", "lvs-nat"))
UNSYNCED = NAT
"""Its load balancers do not tell each other of connections."""

TAKES_THE_HOLDER_AWAY = (endpoint.HAND_OVER, endpoint.KEEPALIVED, endpoint.NGINX, power.VIP_HOLDER, partition.BOTH)


@pytest.fixture
def _boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbootstrap.facts.fact.secrets.token_hex", lambda _count: BOUNDARY)


def powered(cluster: Cluster) -> Cluster:
    switched = Power(turn_off="fence --off {host}", turn_on="fence --on {address}")
    return replace(cluster, settings=cluster.settings.model_copy(update={"power": switched}))


def without(cluster: Cluster, *names: str) -> Cluster:
    return replace(cluster, hosts=tuple(host for host in cluster.hosts if host.name not in names))


def missing(cluster: Cluster) -> dict[str, str]:
    """What is not possible there, and why."""
    return {drill.name: why for drill in DRILLS if (why := drill.needs(powered(cluster))) is not None}


def fit(cluster: Cluster) -> Stage:
    """All others would take the VIP from the first."""
    stage = Stage(cluster)
    for host in cluster.vip_hosts[1:]:
        stage.hosts[host.name].expect(FIT)
    return stage


def limits(drill: Drill, cluster: Cluster) -> dict[str, float]:
    return {rule.limit.what: rule.limit.seconds for rule in drill.budget(cluster)}


# --- what is possible


def test_nothing_of_a_cluster_with_a_tier_is_left_out_but_for_lvs() -> None:
    kept = "the inventory wants no backups"
    nameless = "no application of the inventory has a name at load balancers"
    assert missing(NGINX) == {
        "edge-stop": nameless,
        "real-server-kill": "no load balancer forwards to the API by LVS",
        "quorum-loss-restore": kept,
    }
    for cluster in (DR, NAT):
        assert missing(cluster) == {
            "nginx-stop": "LVS forwards to the API: no Nginx of the host that holds the VIP is on the way",
            "edge-stop": nameless,
            "quorum-loss-restore": kept,
        }


@pytest.mark.parametrize("name", ["vip", "local", "external-endpoint", "single"])
def test_without_load_balancers_no_real_server_is_killed(name: str) -> None:
    assert missing(TOPOLOGIES[name])["real-server-kill"] == "no load balancer forwards to the API by LVS"


def test_one_that_somebody_else_keeps_holds_no_vip_of_ours() -> None:
    why = "the endpoint is no virtual IP of the inventory's hosts"
    impossible = missing(TOPOLOGIES["external-endpoint"])
    assert {impossible[drill.name] for drill in TAKES_THE_HOLDER_AWAY} == {why}
    assert not [name for name in impossible if name.startswith("control-plane")]


def test_the_only_load_balancer_is_left_alone() -> None:
    alone = without(NGINX, "lb2")
    impossible = missing(alone)
    assert {impossible[drill.name] for drill in TAKES_THE_HOLDER_AWAY} == {
        "there is one load balancer, and nobody to take over"
    }


def test_a_load_balancer_can_be_lost_whatever_becomes_of_etcd() -> None:
    """No member is on it; a control-plane host that holds the VIP has one."""
    names = {"vip-holder-power-off", "partition"}
    assert not names & set(missing(without(NGINX, "cp3")))
    assert names <= set(missing(without(VIP, "cp3")))


def test_applications_by_name_may_miss_no_more_than_the_api() -> None:
    named = TOPOLOGIES["applications"]
    assert "edge-stop" not in missing(named)
    allowed_there = {drill.name: limits(drill, named).get("applications by name") for drill in DRILLS}
    assert {name: seconds for name, seconds in allowed_there.items() if seconds is not None} == {
        "vip-handover": 0.5,
        "keepalived-stop": 1,
        "nginx-stop": 2,
        "edge-stop": 2,
        "partition": 3,
        "partition-inbound": 3,
        "partition-outbound": 3,
        "control-plane-partition": 3,
        "control-plane-power-off": 3,
        "vip-holder-power-off": 2,
    }
    assert not [drill.name for drill in DRILLS if "applications by name" in limits(drill, NGINX)]


# --- who is hurt


@pytest.mark.parametrize("cluster", [NGINX, DR, VIP], ids=["nginx", "lvs", "vip"])
@pytest.mark.parametrize(
    "drill", [endpoint.HAND_OVER, endpoint.KEEPALIVED, endpoint.NGINX, power.VIP_HOLDER], ids=lambda one: one.name
)
def test_it_is_the_holder(drill: Drill, cluster: Cluster) -> None:
    stage = fit(cluster)
    fault = drill.prepare(stage.ground)
    assert fault.hosts == (cluster.vip_hosts[0].name,)
    assert set(fault.strike) == set(fault.hosts)
    assert stage.did(fault.hosts[0]) == []


@pytest.mark.usefixtures("_boundary")
def test_a_load_balancer_is_cut_off() -> None:
    assert cut_off(fit(NGINX)).hosts == ("lb1",)


def cut_off(stage: Stage) -> Fault:
    address = '{"ifname":"eth0","addr_info":[{"local":"198.18.0.91","prefixlen":24}]}'
    expect_facts(
        stage.hosts["lb1"], {Identity(): f"ssh_client=198.18.0.1\nssh_port=2222\naddresses=[{address}]\n".encode()}
    )
    stage.hosts["lb1"].expect(re.compile("(?s)nft --check --file - .*198.18.0.100.*"))
    return partition.BOTH.prepare(stage.ground)


@pytest.mark.parametrize("cluster", [NGINX, DR, VIP], ids=["nginx", "lvs", "vip"])
@pytest.mark.parametrize("drill", TAKES_THE_HOLDER_AWAY, ids=lambda one: one.name)
def test_it_is_refused_when_no_other_would_take_the_vip(drill: Drill, cluster: Cluster) -> None:
    stage = Stage(cluster)
    others = [host.name for host in cluster.vip_hosts[1:]]
    for name in others:
        stage.hosts[name].expect(FIT, exit_code=1)
    with pytest.raises(Refused, match="no other host would take the VIP") as caught:
        drill.prepare(stage.ground)
    assert [reason.partition(":")[0] for reason in caught.value.reasons[1:]] == others
    assert {name: host.commands for name, host in stage.hosts.items() if host.ran} == {name: [FIT] for name in others}


def test_one_of_two_others_is_enough() -> None:
    stage = Stage(VIP)
    stage.hosts["cp2"].expect(FIT, exit_code=1)
    stage.hosts["cp3"].expect(FIT)
    assert endpoint.KEEPALIVED.prepare(stage.ground).hosts == ("cp1",)


# --- what it may cost


@pytest.mark.parametrize(
    ("drill", "cluster", "budget"),
    [
        (power.VIP_HOLDER, VIP, {"reads": 3, "writes": 5}),
        (power.VIP_HOLDER, NGINX, {"reads": 2, "writes": 2}),
        (power.VIP_HOLDER, DR, {"reads": 2, "writes": 2}),
        (endpoint.KEEPALIVED, NGINX, {"requests": 1}),
        (endpoint.NGINX, NGINX, {"requests": 2}),
        (endpoint.HAND_OVER, VIP, {"requests": 0.5, endpoint.ELSEWHERE: 5}),
        (endpoint.HAND_OVER, NGINX, {"new connections": 0.5, endpoint.ELSEWHERE: 5}),
        (endpoint.HAND_OVER, DR, {"requests": 0.5, endpoint.ELSEWHERE: 5, endpoint.GO_ON: 0}),
        (endpoint.HAND_OVER, UNSYNCED, {"new connections": 0.5, endpoint.ELSEWHERE: 5}),
        (partition.INBOUND, VIP, {"reads": 3, "writes": 3, partition.HOLDER: 20}),
        (partition.INBOUND, NGINX, {"reads": 3, "writes": 3, partition.HOLDER: 20}),
        (partition.OUTBOUND, NGINX, {"reads": 3, "writes": 3, partition.HOLDER: 20}),
        (real_server.KILL, DR, {"new connections": 5, real_server.OUT: 5}),
    ],
)
def test_budgets(drill: Drill, cluster: Cluster, budget: dict[str, float]) -> None:
    assert limits(drill, cluster) == budget


def test_something_that_must_be_so_is_told_as_such() -> None:
    demand = Limit(endpoint.GO_ON, 0)
    assert allowed(demand) == "always"
    assert [found(Measured(demand, seconds)) for seconds in (0.0, None)] == ["yes", "no"]
    assert not Measured(demand, None).within


# --- a real server


def table(*last: int) -> bytes:
    """A director that forwards to these."""
    lines = ["-A -t 198.18.0.100:6443 -s wlc"]
    lines += [f"-a -t 198.18.0.100:6443 -r 198.18.0.{one}:6443 -g -w 100" for one in last]
    return "\n".join(lines).encode() + b"\n"


@pytest.mark.usefixtures("_boundary")
@pytest.mark.parametrize(
    ("first", "second", "out"),
    [
        (table(11, 12, 13), table(11, 12, 13), False),
        (table(12, 13), table(11, 12, 13), False),
        (table(11, 13), table(11, 13), False),
        (table(12, 13), b"", False),
        (table(12, 13), table(12, 13), True),
    ],
    ids=["nowhere", "at one", "another server", "no table", "everywhere"],
)
def test_it_is_out_when_no_director_forwards_to_it(first: bytes, second: bytes, *, out: bool) -> None:
    stage = Stage(DR)
    stage.ground.hurt = ("cp1",)
    for name, shown in (("lb1", first), ("lb2", second)):
        expect_facts(stage.hosts[name], {VirtualServers(): shown})
    [awaited] = real_server.KILL.awaits(DR)
    said = awaited.reached(stage.ground)
    assert said == ("lb1, lb2: cp1 is out of the table" if out else None)


def test_its_proxy_is_killed_and_stays_away() -> None:
    fault = real_server.KILL.prepare(Stage(DR).ground)
    strike = "systemctl kill --signal=KILL kube-endpoint-nginx.service\n"
    strike += "systemctl stop --no-block kube-endpoint-nginx.service"
    assert fault.strike == {"cp1": strike}
    assert fault.undo == {"cp1": "systemctl start --no-block kube-endpoint-nginx.service"}


# --- where the VIP is in the steady state


@pytest.mark.parametrize(
    ("preferred", "holders", "trouble"),
    [
        (None, ("lb2",), []),
        ("lb1", ("lb1",), []),
        ("lb1", ("lb2",), ["the VIP is on lb2, and lb1 is about to take it back"]),
    ],
)
def test_a_vip_that_is_about_to_move_is_not_steady(
    preferred: str | None, holders: Sequence[str], trouble: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    section = NGINX.settings.load_balancer.model_copy(update={"preferred": preferred})
    cluster = replace(NGINX, settings=NGINX.settings.model_copy(update={"load_balancer": section}))
    seen = status(cluster)
    seen.vip_holders, seen.passed_over = tuple(holders), ()  # type: ignore[misc]

    def read(*_: object, at_once: int) -> Status:
        return seen

    monkeypatch.setattr("kbootstrap.drills.steady.status_through", read)
    monkeypatch.setattr("kbootstrap.drills.steady.degraded", lambda *_: [])
    monkeypatch.setattr("kbootstrap.drills.steady._checked", lambda *_: ())
    assert list(look(cluster, {}).troubles) == trouble
