"""A control-plane host without the VIP is lost: who that is, and what it may cost."""

import re
from dataclasses import replace

import pytest

from kbootstrap.drills.faults import control_plane
from kbootstrap.drills.faults.partition import JOINED
from kbootstrap.drills.guards import NotPossible
from kbootstrap.facts.identity import Identity
from kbootstrap.model.cluster import Cluster
from tests.golden.sites import TOPOLOGIES
from tests.unit.drills.stage import VIP, Stage
from tests.unit.workflows.guards.stage import BOUNDARY, expect_facts

NGINX, LVS, LOCAL, EXTERNAL = (TOPOLOGIES[name] for name in ("load-balancers", "lvs-dr", "local", "external-endpoint"))


@pytest.mark.parametrize(
    ("cluster", "victim"),
    [(VIP, "cp2"), (NGINX, "cp1"), (LOCAL, "cp2"), (EXTERNAL, "cp1"), (TOPOLOGIES["external-etcd"], "cp2")],
    ids=["holder", "load balancers", "local", "external", "external etcd"],
)
def test_it_is_the_leader_where_the_endpoint_does_not_need_it(cluster: Cluster, victim: str) -> None:
    """cp1 leads everything, holds the VIP where control planes do, and is asked where nobody does."""
    fault = control_plane.POWER_OFF.prepare(Stage(cluster).ground)
    assert (fault.hosts, fault.cuts_power) == ((victim,), True)


def test_the_only_other_one_is_not_enough() -> None:
    alone = replace(LOCAL, hosts=tuple(host for host in LOCAL.hosts if host.name not in ("cp2", "cp3")))
    with pytest.raises(NotPossible, match="every control-plane host is needed"):
        control_plane.POWER_OFF.prepare(Stage(alone).ground)
    assert control_plane.PARTITION.needs(alone) == "there is one control-plane host, and nobody to take over"


def test_it_is_cut_off_without_a_word_of_a_vip_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbootstrap.facts.fact.secrets.token_hex", lambda _count: BOUNDARY)
    stage = Stage(LOCAL)
    address = '{"ifname":"eth0","addr_info":[{"local":"198.18.0.12","prefixlen":24}]}'
    seen = f"ssh_client=198.18.0.1\nssh_port=22\naddresses=[{address}]\n".encode()
    expect_facts(stage.hosts["cp2"], {Identity(): seen})
    stage.hosts["cp2"].expect(re.compile("(?s)nft --check --file - .*"))
    fault = control_plane.PARTITION.prepare(stage.ground)
    assert (fault.hosts, fault.undo) == (("cp2",), {"cp2": JOINED})
    assert "arp" in fault.strike["cp2"]
    assert "None" not in fault.strike["cp2"]


@pytest.mark.parametrize(
    ("cluster", "budget"),
    [
        (VIP, {"reads": 3, "writes": 5, control_plane.HANGS: 4}),
        (NGINX, {"reads": 3, "writes": 5, control_plane.HANGS: 4}),
        (LVS, {"reads": 5, "writes": 5}),
    ],
)
def test_budgets(cluster: Cluster, budget: dict[str, float]) -> None:
    for drill in (control_plane.POWER_OFF, control_plane.PARTITION):
        assert {rule.limit.what: rule.limit.seconds for rule in drill.budget(cluster)} == budget
