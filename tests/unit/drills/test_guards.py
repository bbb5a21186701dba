"""What stands in the way of hurting a cluster."""

from dataclasses import replace

import pytest

from kbootstrap.drills.catalogue import DRILLS, named
from kbootstrap.drills.drill import Fault
from kbootstrap.drills.guards import (
    NotPossible,
    Refused,
    require_permission,
    require_quorum,
    require_steady,
    require_watchdog,
)
from kbootstrap.drills.power import Power as PowerSwitch
from kbootstrap.errors import InvalidInput
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.drills import Drills, Power
from tests.golden.sites import TOPOLOGIES
from tests.unit.drills.stage import VIP, drill

TEST_CLUSTER = replace(VIP, settings=VIP.settings.model_copy(update={"drills": Drills(production=False)}))
SINGLE = replace(VIP, hosts=tuple(host for host in VIP.hosts if host.name in ("cp1", "w1")))


def fault(*hosts: str) -> Fault:
    return Fault("test", hosts)


NOTHING = drill(lambda _ground: fault())


def test_users_depend_on_a_cluster_unless_its_inventory_says_otherwise() -> None:
    with pytest.raises(Refused, match="users depend on") as caught:
        require_permission(VIP, None)
    assert VIP.name in (caught.value.hint or "")
    with pytest.raises(Refused, match="names 'other'"):
        require_permission(VIP, "other")
    require_permission(VIP, VIP.name)
    require_permission(TEST_CLUSTER, None)


def test_a_degraded_cluster_is_not_hurt_further() -> None:
    require_steady([])
    with pytest.raises(Refused) as caught:
        require_steady(["cp2: its etcd member does not answer"])
    assert caught.value.reasons == ("the cluster is degraded", "cp2: its etcd member does not answer")


@pytest.mark.parametrize(
    ("cluster", "hosts", "refused"),
    [
        (VIP, ("cp1",), None),
        (VIP, ("cp1", "cp2"), "1 of 3 etcd members"),
        (VIP, ("w1", "w2"), None),
        (SINGLE, ("cp1",), "0 of 1 etcd members"),
        (SINGLE, ("w1",), None),
        (TOPOLOGIES["external-etcd"], ("etcd1",), None),
        (TOPOLOGIES["external-etcd"], ("etcd1", "etcd2"), "1 of 3 etcd members"),
        (TOPOLOGIES["five-etcd"], ("cp1", "cp2"), None),
        (TOPOLOGIES["five-etcd"], ("cp1", "cp2", "cp3"), "2 of 5 etcd members"),
        (TOPOLOGIES["load-balancers"], ("lb1",), None),
        (TOPOLOGIES["load-balancers"], ("lb1", "lb2"), "0 of 2 load balancers"),
    ],
)
def test_who_is_left_can_go_on(cluster: Cluster, hosts: tuple[str, ...], refused: str | None) -> None:
    if refused is None:
        require_quorum(cluster, NOTHING, fault(*hosts))
        return
    with pytest.raises(Refused, match=refused):
        require_quorum(cluster, NOTHING, fault(*hosts))


def test_a_drill_of_the_loss_of_a_quorum_may_do_just_that() -> None:
    require_quorum(VIP, replace(NOTHING, breaks_quorum=True), fault("cp1", "cp2", "cp3"))


def test_names() -> None:
    names = [one.name for one in DRILLS]
    assert len(set(names)) == len(names)
    assert [one.name for one in named(["nginx-stop", "apiserver-kill"])] == ["nginx-stop", "apiserver-kill"]
    with pytest.raises(InvalidInput, match="there is no drill nginx-stopp") as caught:
        named(["nginx-stopp"])
    assert "nginx-stop" in (caught.value.hint or "")


def test_every_drill_has_a_budget_and_awaits_only_what_counts() -> None:
    for one in DRILLS:
        for cluster in TOPOLOGIES.values():
            limits = {rule.limit.what for rule in one.budget(cluster)}
            assert limits
            assert {awaited.what for awaited in one.awaits(cluster)} <= limits


def test_what_is_not_possible_is_known_from_the_inventory() -> None:
    def possible(cluster: Cluster) -> set[str]:
        return {one.name for one in DRILLS if one.needs(cluster) is None}

    switched = Power(turn_off="fence --off {host}", turn_on="fence --on {address}")
    pair = replace(VIP, hosts=(*VIP.hosts, replace(VIP.host("w1"), name="w2")))
    powered = replace(pair, settings=VIP.settings.model_copy(update={"power": switched}))
    without_power = {"vip-holder-power-off", "control-plane-power-off", "worker-power-off", "cold-restart"}
    assert possible(powered) - possible(pair) == without_power
    assert possible(SINGLE) == set()
    local = possible(TOPOLOGIES["local"])
    assert "etcd-leader-kill" in local
    assert not local & {"partition", "keepalived-stop", "nginx-stop", "vip-handover"}


def test_in_a_pod_nobody_would_give_the_power_back(monkeypatch: pytest.MonkeyPatch) -> None:
    cut, switch = replace(fault("w1"), cuts_power=True), PowerSwitch({}, {})
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    require_watchdog(cut, switch)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    require_watchdog(fault("w1"), switch)
    require_watchdog(cut, None)
    with pytest.raises(NotPossible, match="in a pod"):
        require_watchdog(cut, switch)
