"""What `status` makes of directors: of their tables, and of where they cannot ask."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from kbootstrap.components.lvs import virtual_server
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.health import Answer, Health
from kbootstrap.facts.ipvs import VirtualServers
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.workflows.balancing import Forwarding, PassedOver, not_forwarded_to
from kbootstrap.workflows.diagnosis import troubles
from kbootstrap.workflows.status import Status, Unread, condition, status_facts
from tests.golden.sites import TOPOLOGIES
from tests.unit.workflows.test_status import NOW, good

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


SILENT = Answer(0, 2.0, "Connection timed out")


def about_the_endpoint(cluster: Cluster, answers: Mapping[str, Answer], unreachable: tuple[str, ...] = ()) -> Status:
    """A cluster that is well, but for what some hosts hear of the API at its endpoint."""
    endpoint = f"{cluster.settings.endpoint.vip}:6443"

    def value(host: Host, fact: Fact[Any]) -> object:
        if isinstance(fact, VirtualServers):
            return (FULL,)
        if isinstance(fact, Health) and endpoint in fact.url:
            return answers.get(host.name, Answer(200, 0.004))
        return good(host, fact)

    seen = {
        host.name: Facts({fact: value(host, fact) for fact in status_facts(cluster, host)})
        for host in cluster.hosts
        if host.name not in unreachable
    }
    return condition(cluster, seen, dict.fromkeys(unreachable, Unread("no route to host", "look")), NOW)


def whats(status: Status, cluster: Cluster) -> list[tuple[str, str]]:
    return [(one.where, one.what) for one in troubles(status, cluster.settings) if "endpoint" in one.what]


@pytest.mark.parametrize("topology", ["lvs-dr", "lvs-tunnel", "lvs-nat"])
def test_directors_are_not_asked_for_what_their_own_address_answers(topology: str) -> None:
    """The one that holds the virtual IP would be silent for ever."""
    cluster = TOPOLOGIES[topology]
    status = about_the_endpoint(cluster, dict.fromkeys(("lb1", "lb2"), SILENT))
    assert status.endpoint.answered == ("cp1", "cp2", "cp3", "w1", "w2")
    assert status.endpoint.failed == {}
    assert whats(status, cluster) == []


def test_load_balancers_with_nginx_are_asked() -> None:
    cluster = TOPOLOGIES["load-balancers"]
    status = about_the_endpoint(cluster, {"lb2": SILENT})
    assert whats(status, cluster) == [("lb2", "does not reach the API at its endpoint: Connection timed out")]


def test_where_only_directors_can_be_read_nobody_knows_whether_the_endpoint_answers() -> None:
    status = about_the_endpoint(CLUSTER, {}, unreachable=("cp1", "cp2", "cp3", "w1", "w2"))
    assert whats(status, CLUSTER) == []
