"""What `status` makes of directors' tables."""

from dataclasses import replace

from kbootstrap.components.lvs import virtual_server
from kbootstrap.facts.ipvs import VirtualServers
from kbootstrap.workflows.balancing import Forwarding, PassedOver, not_forwarded_to
from kbootstrap.workflows.status import status_facts
from tests.golden.sites import TOPOLOGIES

CLUSTER = TOPOLOGIES["lvs-dr"]
assert CLUSTER.lvs is not None
FULL = virtual_server(CLUSTER, CLUSTER.lvs)


def test_directors_are_asked() -> None:
    asked = [host.name for host in CLUSTER.hosts if VirtualServers() in status_facts(CLUSTER, host)]
    assert asked == ["lb1", "lb2"]
    tier = TOPOLOGIES["load-balancers"]
    assert not any(VirtualServers() in status_facts(tier, host) for host in tier.hosts)


def test_full_tables_pass_nobody_over() -> None:
    assert not_forwarded_to(CLUSTER, [Forwarding(name, FULL.address, FULL) for name in ("lb1", "lb2")]) == []


def test_who_is_missing_or_has_no_weight_is_passed_over() -> None:
    first, second, third = FULL.servers
    tables = [
        Forwarding("lb1", FULL.address, replace(FULL, servers=(first, replace(second, weight=0)))),
        Forwarding("lb2", FULL.address, replace(FULL, servers=(first, second, third))),
    ]
    reason = "LVS gives its proxy no connections"
    assert not_forwarded_to(CLUSTER, tables) == [
        PassedOver("cp2", "out", reason, ("lb1",)),
        PassedOver("cp3", "out", reason, ("lb1",)),
    ]


def test_a_director_that_forwards_nothing_at_all_is_a_trouble_of_its_own() -> None:
    assert not_forwarded_to(CLUSTER, [Forwarding("lb1", FULL.address, None)]) == []
