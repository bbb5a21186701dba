"""Drills where load balancers hold the VIP: each passes, each can fail, and none is begun that nobody would outlive."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

import pytest

from kbootstrap.lab.spec import standard
from tests.e2e.applications import NAMES, deploy, in_inventory, outside_authority, renew
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory, wait_until
from tests.e2e.drilling import REFUSED, SLOW_ADVERTS, changed, drilled, require_failed, require_passed
from tests.e2e.observe import vip_holders

pytestmark = pytest.mark.long

BALANCERS = ["lb1", "lb2"]
KEEPALIVED = "/etc/kbootstrap/keepalived.conf"
ALIVE = "/opt/kbootstrap/libexec/endpoint-alive"
UNIT = "kube-endpoint-keepalived"

OF_THE_HOLDER = [
    "vip-handover",
    "keepalived-stop",
    "nginx-stop",
    "edge-stop",
    "partition",
    "partition-inbound",
    "partition-outbound",
    "vip-holder-power-off",
]


@pytest.fixture(scope="module")
def bed(beds: BedFactory) -> Bed:
    lab = standard(
        name=f"{PREFIX}tier", subnet=IPv4Network("198.18.56.0/24"), control_planes=3, workers=1, load_balancers=2
    )
    bed = beds(lab, {"applications": in_inventory()})
    renew(bed.folder, outside_authority())
    bed.run("up").expect(0, "is ready")
    deploy(bed)
    return bed


def holder(bed: Bed) -> str:
    """The load balancer that has the VIP."""
    [found] = vip_holders(bed, BALANCERS)
    return found


def other(bed: Bed) -> str:
    return next(name for name in BALANCERS if name != holder(bed))


@pytest.mark.parametrize("name", OF_THE_HOLDER)
def test_who_holds_the_vip_may_go(bed: Bed, name: str) -> None:
    before = holder(bed)
    outcome, [result] = drilled(bed, name)
    assert (result["verdict"], result["problems"]) == ("passed", []), outcome.text[-4000:]
    assert result["hosts"] == [before]
    sent = {probe["name"]: probe["requests"] for probe in result["probes"]}
    assert all(sent[f"edge.{application}"] > 0 for application in NAMES)
    moved = [moment["host"] for moment in result["moments"] if moment["kind"] == "vip moved"]
    assert moved[0] in BALANCERS
    assert moved[0] != before
    assert holder(bed) in BALANCERS


@pytest.mark.parametrize(
    "name",
    ["apiserver-stop", "apiserver-kill", "etcd-leader-kill", "control-plane-partition", "control-plane-power-off"],
)
def test_what_is_behind_the_load_balancers_may_go(bed: Bed, name: str) -> None:
    require_passed(bed, name)


def test_what_needs_lvs_is_left_out_and_says_why(bed: Bed) -> None:
    said = json.loads(bed.run("drill", "list", "--json").expect(0).out)
    impossible = {drill["name"]: drill["impossible"] for drill in said if drill["impossible"]}
    assert impossible["real-server-kill"] == "no load balancer forwards to the API by LVS"
    assert not set(OF_THE_HOLDER) & set(impossible)
    outcome, [result] = drilled(bed, "real-server-kill")
    assert (outcome.code, result["verdict"]) == (REFUSED, "refused")


def test_without_another_that_would_take_the_vip_nothing_is_done(bed: Bed) -> None:
    """It runs, and everything that `status` looks at is well; but its check would keep the VIP from it."""
    name = other(bed)
    bed.ssh(name, f"cp -p {ALIVE} {ALIVE}.kept && sed -i '2i exit 1' {ALIVE}")
    try:
        outcome, [result] = drilled(bed, "vip-holder-power-off")
        assert (outcome.code, result["verdict"]) == (REFUSED, "refused")
        assert "no other host would take the VIP" in result["problems"][0]
        assert [moment for moment in result["moments"] if moment["kind"] == "fault"] == []
    finally:
        bed.ssh(name, f"mv {ALIVE}.kept {ALIVE}")


def test_a_load_balancer_that_is_not_well_is_refused_before(bed: Bed) -> None:
    name = other(bed)
    bed.ssh(name, f"systemctl stop {UNIT}")
    try:
        _, [result] = drilled(bed, "vip-handover")
        assert (result["verdict"], result["problems"][0]) == ("refused", "the cluster is degraded")
    finally:
        bed.ssh(name, f"systemctl start {UNIT}")
        wait_until(lambda: bed.run("status").code == 0, seconds=60, what="the cluster is healthy")


def test_keepalived_announces_itself_every_ten_seconds(bed: Bed) -> None:
    with keepalived(bed, SLOW_ADVERTS):
        require_failed(bed, "vip-handover", says=r"new connections: .* s, and 0.5 s are allowed")
        require_failed(bed, "keepalived-stop", says=r"requests: .* s, and 1 s are allowed")
        require_failed(bed, "vip-holder-power-off", says=r"(reads|writes): .* s, and 2 s are allowed")


def test_keepalived_does_not_look_at_the_proxy(bed: Bed) -> None:
    with keepalived(bed, "/proxy_alive$/d;/proxy_useful$/d"):
        require_failed(bed, "nginx-stop", says=r"requests: .* s, and 2 s are allowed")
        require_failed(bed, "edge-stop", says=r"applications by name: .* s, and 2 s are allowed")
        require_failed(bed, "partition-inbound", says=r"(reads|writes): .*, and 3 s are allowed")


def test_one_that_is_preferred_has_the_vip_again_before_a_drill_ends(bed: Bed) -> None:
    """The last here: the inventory stays so."""
    bed.write({"load_balancer": {"preferred": "lb1"}})
    bed.run("up").expect(0)
    wait_until(lambda: holder(bed) == "lb1", seconds=60, what="lb1 has the VIP")
    for name in ("keepalived-stop", "vip-holder-power-off"):
        _, [result] = drilled(bed, name)
        assert (result["verdict"], result["problems"], result["hosts"]) == ("passed", [], ["lb1"])
        assert holder(bed) == "lb1"


@contextmanager
def keepalived(bed: Bed, expression: str) -> Iterator[None]:
    """Both load balancers with another configuration of keepalived."""

    def settled() -> None:
        wait_until(lambda: bed.run("status").code == 0, seconds=120, what="the cluster is healthy")

    with changed(bed, BALANCERS, KEEPALIVED, expression, f"systemctl reload {UNIT}", settled):
        wait_until(lambda: len(vip_holders(bed, BALANCERS)) == 1, seconds=60, what="one of them has the VIP")
        yield
