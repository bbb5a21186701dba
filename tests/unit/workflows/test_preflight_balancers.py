"""Load balancers before anything is installed: virtual IPs and router ids of somebody else, ports, programs, memory."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from kbootstrap.components.packages import wanted_packages
from kbootstrap.facts.fact import Fact
from kbootstrap.facts.guard import Guard
from kbootstrap.facts.latency import SyncLatency
from kbootstrap.facts.neighbours import Neighbour
from kbootstrap.facts.ports import Listener, Listeners
from kbootstrap.facts.reach import FullPackets, PeerPorts
from kbootstrap.facts.services import Service
from kbootstrap.facts.vrrp import Advert, VrrpAdverts
from kbootstrap.model.cluster import Role
from kbootstrap.model.load_balancer import LoadBalancer, Lvs
from kbootstrap.model.settings import Settings
from kbootstrap.workflows.fitness.between import between, between_facts
from kbootstrap.workflows.fitness.finding import Finding
from kbootstrap.workflows.fitness.machine import machine_facts
from kbootstrap.workflows.fitness.network import network_facts
from kbootstrap.workflows.fitness.residents import RUNNING, VISITED, residents
from kbootstrap.workflows.footprint import units
from kbootstrap.workflows.preflight import findings
from tests.unit.workflows.hosts import cluster, host, look, looks

SETTINGS = Settings.model_validate(
    {
        "endpoint": {"mode": "external", "vip": "198.18.0.100"},
        "load_balancer": {"instances": {"second": {"vip": "198.18.0.101"}}},
        "applications": {"notes": {"protocol": "http", "server_names": ["notes.example.com"], "node_port": 30080}},
    }
)
BALANCERS = tuple(host(f"lb{number}", 90 + number, Role.LOAD_BALANCER) for number in (1, 2))
CLUSTER = replace(cluster(SETTINGS), hosts=(*cluster(SETTINGS).hosts, *BALANCERS))


def said(changed: dict[Fact[Any], object] | None = None, **identity: Any) -> list[str]:
    """What is found on lb1."""
    return [
        problem.message for problem in findings(CLUSTER, looks(CLUSTER, lb1=look(CLUSTER, "lb1", changed, **identity)))
    ]


def test_good_load_balancers_are_fit() -> None:
    assert findings(CLUSTER, looks(CLUSTER)) == []


def test_a_small_machine_is_enough() -> None:
    assert said(memory_bytes=400 * 10**6) == []
    assert said(memory_bytes=100 * 10**6) == ["lb1: has 100 MB of memory; 210 MB are the least"]


def test_each_virtual_ip_is_looked_for() -> None:
    wanted = network_facts(CLUSTER, BALANCERS[0])
    assert network_facts(CLUSTER, CLUSTER.host("cp1")) == []
    second = next(fact for fact in wanted if isinstance(fact, Neighbour) and str(fact.address).endswith(".101"))
    assert said({second: "02:00:00:00:00:99"}) == [
        "lb1: another machine (02:00:00:00:00:99) answers for the VIP 198.18.0.101"
    ]


@pytest.mark.parametrize("number", [80, 443, 6446, 6443])
def test_ports_of_applications_must_be_free(number: int) -> None:
    listener = Listener("tcp", "0.0.0.0", number, "apache2", 7, "apache2.service")
    [message] = said({Listeners(): (listener,)})
    assert f"tcp port {number}, needed for" in message


def test_an_old_nginx_is_refused() -> None:
    [message] = said(os="ubuntu", os_version="22.04")
    assert "cannot refuse a name without a certificate" in message
    assert said(os="ubuntu", os_version="24.04") == []


@pytest.mark.parametrize("unit", ["nginx.service", "keepalived.service"])
def test_services_that_would_take_ports_or_addresses_at_the_next_boot(unit: str) -> None:
    """Where kbootstrap has been, its packages may have started them."""
    lvs = LoadBalancer.model_validate({"lvs": {}})
    behind_lvs = replace(CLUSTER, settings=CLUSTER.settings.model_copy(update={"load_balancer": lvs}))
    theirs: dict[Fact[Any], object] = {RUNNING: (Service(unit, ours=False),)}
    for tier in (CLUSTER, behind_lvs):
        shown = {name: list(residents(tier, tier.host(name), look(tier, name, theirs).facts)) for name in ("lb1", "w1")}
        assert [finding.message for finding in shown["lb1"] if finding.stops] == [
            f"runs {unit} already, and it is not kbootstrap's"
        ]
        assert not any(finding.stops for finding in shown["w1"])
    assert said(theirs | {VISITED: True}) == []


def heard(name: str, adverts: Sequence[Advert]) -> list[Finding]:
    """What the hosts' way to each other makes of these routers."""
    member = CLUSTER.host(name)
    facts = look(CLUSTER, name).facts
    quiet: dict[type[Fact[Any]], object] = {
        PeerPorts: {},
        FullPackets: {},
        SyncLatency: (),
        VrrpAdverts: tuple(adverts),
    }
    for fact in between_facts(CLUSTER, member):
        facts = facts.merged(type(facts)({fact: quiet[type(fact)]}))
    return list(between(CLUSTER, member, facts))


def test_a_router_id_of_somebody_else_is_named() -> None:
    stranger, own = IPv4Address("198.18.0.66"), BALANCERS[1].address
    assert heard("lb1", [Advert(own, 100), Advert(stranger, 99)]) == []
    [found] = heard("lb1", [Advert(own, 100), Advert(stranger, 101)])
    assert found.message == (
        "another machine (198.18.0.66) uses the VRRP router id 101, which would be that of the VIP 198.18.0.101"
    )
    assert found.stops


def test_only_hosts_that_may_hold_a_virtual_ip_listen() -> None:
    listeners = [
        member.name for member in CLUSTER.hosts if VrrpAdverts(member.address) in between_facts(CLUSTER, member)
    ]
    assert listeners == ["lb1", "lb2"]


def test_what_runs_on_a_load_balancer() -> None:
    names = {unit.removesuffix(".service") for unit in units(CLUSTER, BALANCERS[0])}
    assert names == {"kube-endpoint-nginx", "kube-endpoint-watch", "kube-endpoint-keepalived", "kube-edge-nginx"}
    assert {"nginx", "keepalived", "logrotate"} <= set(wanted_packages(CLUSTER, BALANCERS[0]))
    assert not {"nginx", "keepalived"} & set(wanted_packages(CLUSTER, CLUSTER.host("cp1")))


@pytest.mark.parametrize(
    ("name", "module", "way_out"),
    [
        ("lb1", "ip_vs", "leave load_balancer: {lvs: …} out"),
        ("lb1", "ip_vs_sh", "leave load_balancer: {lvs: …} out"),
        ("cp1", "ipip", "another method than tunnel"),
    ],
)
def test_a_kernel_without_what_lvs_needs_is_named_with_the_way_out(name: str, module: str, way_out: str) -> None:
    with_lvs = SETTINGS.model_copy(update={"load_balancer": LoadBalancer(lvs=Lvs(method="tunnel", scheduler="sh"))})
    tier = replace(CLUSTER, settings=with_lvs)
    guards = [fact for fact in machine_facts(tier, tier.host(name)) if isinstance(fact, Guard)]
    [guard] = [guard for guard in guards if guard.command.endswith(f" {module}")]
    [problem] = findings(tier, looks(tier, **{name: look(tier, name, {guard: False})}))
    assert problem.message == f"{name}: its kernel has no {module}, neither built in nor as a module"
    assert way_out in (problem.hint or "")
    assert machine_facts(CLUSTER, BALANCERS[0]) == []
