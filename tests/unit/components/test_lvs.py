"""The directors' table: what keepalived does itself, and what has to be put right."""

from dataclasses import replace

import pytest

from kbootstrap.components import endpoint, keepalived, lvs, nginx
from kbootstrap.components.service import unit_path
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.ipvs import RealServer, VirtualServer, VirtualServers
from kbootstrap.facts.units import NO_UNIT, UnitState, UnitStatus
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Change, Paths, Step
from kbootstrap.steps.unit import Unit, UnitAbsent
from kbootstrap.workflows.playbooks import builtin
from tests.golden.sites import TOPOLOGIES, cluster, steps

CLUSTER = TOPOLOGIES["lvs-dr"]
RUNNING = replace(NO_UNIT, loaded=True, active="active", sub="running")


def wanted() -> VirtualServer:
    assert CLUSTER.lvs is not None
    return lvs.virtual_server(CLUSTER, CLUSTER.lvs)


def change(*now: VirtualServer, unit: UnitStatus = RUNNING, touched: Paths = frozenset()) -> Change | None:
    """What is due where the table is like this."""
    seen = Facts({VirtualServers(): now, UnitState(keepalived.UNIT): unit})
    return lvs.Table(wanted()).diff(seen, touched)


def test_a_full_table_is_right() -> None:
    other = VirtualServer("198.18.0.200:80", "rr", 0)
    assert change(wanted(), other) is None


def test_a_real_server_that_keepalived_has_taken_out_is_no_drift() -> None:
    assert change(replace(wanted(), servers=wanted().servers[:1])) is None


def test_where_keepalived_does_not_run_yet_it_is_about_to_make_it() -> None:
    assert change(unit=NO_UNIT) is None
    assert change(unit=NO_UNIT, touched=frozenset({keepalived.CONFIG})) is None


@pytest.mark.parametrize("path", [keepalived.CONFIG, unit_path(keepalived.UNIT)])
def test_after_a_reload_somebody_looks(path: object) -> None:
    due = change(touched=frozenset({path}))  # type: ignore[arg-type]
    assert due is not None
    assert "grep -q -- '-A -t 198.18.0.100:6443 '" in due.script
    assert due.script.endswith("systemctl restart kube-endpoint-keepalived.service")


@pytest.mark.parametrize(
    "now", [(), (replace(wanted(), scheduler="rr"),), (replace(wanted(), persistence=60),)], ids=["none", "rr", "60 s"]
)
def test_a_table_that_is_not_keepalived_s_is_made_anew(now: tuple[VirtualServer, ...]) -> None:
    due = change(*now)
    assert due is not None
    assert due.disrupts
    assert due.script == "systemctl restart kube-endpoint-keepalived.service"


def test_strange_and_idle_real_servers() -> None:
    first, second, _ = wanted().servers
    strange = RealServer("198.18.0.99:6443", "dr", 100)
    due = change(replace(wanted(), servers=(replace(first, weight=0), replace(second, method="nat"), strange)))
    assert due is not None
    assert not due.disrupts
    assert due.script.splitlines() == [
        "ipvsadm -d -t 198.18.0.100:6443 -r 198.18.0.12:6443",
        "ipvsadm -d -t 198.18.0.100:6443 -r 198.18.0.99:6443",
        "ipvsadm -e -t 198.18.0.100:6443 -r 198.18.0.11:6443 -g -w 100",
    ]
    assert "198.18.0.11:6443: weight 0 -> 100" in due.diff


@pytest.mark.parametrize(
    ("topology", "felt"),
    [
        ("lvs-dr", {lvs.ADDRESS_UNIT, endpoint.UNIT}),
        ("lvs-tunnel", {lvs.ADDRESS_UNIT, endpoint.UNIT}),
        ("lvs-nat", {endpoint.UNIT}),
    ],
)
def test_what_of_a_real_server_is_restarted_when_it_changes(topology: str, felt: set[str]) -> None:
    """Never its proxy, which reads its configuration again; the unit with the VIP takes it away for a moment."""
    stale = replace(RUNNING, enabled="enabled", stamp="old", inputs="new")
    parts = ("edge", "nginx", "keepalived", "lvs")
    made = [step for part, found in steps(TOPOLOGIES[topology], "cp1") if part in parts for step in found]
    units = [step for step in made if isinstance(step, Unit)]
    due = {unit.name: unit.diff(Facts(dict.fromkeys(unit.needs(), stale)), frozenset()) for unit in units}
    assert nginx.UNIT in due
    assert all(due.values())
    assert {name for name, change in due.items() if change and change.disrupts} == felt


@pytest.mark.parametrize("topology", ["lvs-dr", "lvs-tunnel", "lvs-nat"])
def test_a_director_s_nginx_answers_until_the_kernel_forwards(topology: str) -> None:
    made = dict(steps(TOPOLOGIES[topology], "lb1"))["lvs"]
    table = next(place for place, step in enumerate(made) if isinstance(step, lvs.Table))
    gone = {step.name: place for place, step in enumerate(made) if isinstance(step, UnitAbsent)}
    assert gone.keys() == {endpoint.UNIT, nginx.UNIT}
    assert min(gone.values()) > table


@pytest.mark.parametrize(("said", "seconds"), [({}, 45), ({"connection_sync": False}, 10), (None, 10)])
def test_who_is_preferred_learns_of_idle_connections_before_it_takes_the_vip(
    said: dict[str, object] | None, seconds: int
) -> None:
    settings = {"endpoint": {"mode": "external", "vip": "198.18.0.100"}}
    tier = cluster(CLUSTER.hosts, {**settings, "load_balancer": {"preferred": "lb1", "lvs": said}})
    made = [step for _, found in steps(tier, "lb1") for step in found]
    config = next(step for step in made if isinstance(step, File) and step.path == keepalived.CONFIG)
    assert f"preempt_delay {seconds}\n" in config.content.decode()


def test_nat_goes_to_the_proxies_own_port() -> None:
    nat = TOPOLOGIES["lvs-nat"]
    assert nat.lvs is not None
    assert {server.address for server in lvs.virtual_server(nat, nat.lvs).servers} == {
        f"198.18.0.1{number}:6445" for number in (1, 2, 3)
    }


@pytest.mark.parametrize(
    ("topology", "released", "retired"),
    [
        ("lvs-dr", set(), set()),
        ("lvs-tunnel", set(), set()),
        ("lvs-nat", {lvs.ADDRESS_UNIT}, set()),
        ("load-balancers", {lvs.ADDRESS_UNIT}, {endpoint.UNIT, nginx.UNIT}),
        ("vip", set(), {lvs.ADDRESS_UNIT}),
        ("local", set(), {lvs.ADDRESS_UNIT}),
        ("external-endpoint", set(), {lvs.ADDRESS_UNIT}),
    ],
)
def test_what_others_go_through_is_taken_away_only_after_their_turn(
    topology: str, released: set[str], retired: set[str]
) -> None:
    made = dict(steps(TOPOLOGIES[topology], "cp1"))
    assert _absent(made.get("retired-address", [])) == released
    assert _absent(made["retired-ways"]) == retired
    assert not _absent(made["lvs"]) & (released | retired)


def _absent(made: list[Step]) -> set[str]:
    return {step.name for step in made if isinstance(step, UnitAbsent)}


def test_the_address_goes_before_daemons_need_nat_and_proxies_when_no_daemon_uses_them() -> None:
    """With NAT nobody reaches a control-plane host that has the VIP; and its own daemons go through its own proxy."""
    up = builtin("up")
    waits = {component: up.waits(phase)[1] for phase in up.phases for component in phase.components}
    phases = {component: phase.phase for phase in up.phases for component in phase.components}
    assert waits["retired-address"] == ("load-balancers",)
    assert phases["retired-address"] in waits["kubelet"]
    assert waits["retired-ways"] == (phases["kubelet"],)
