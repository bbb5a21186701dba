"""Two load balancers, each with a VIP of its own, in front of a small cluster with two applications by name."""

import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Network

import pytest

from kbootstrap.lab.spec import standard
from kbootstrap.pki.authority import Authority
from tests.e2e.applications import NAMES, application, deploy, in_inventory, outside_authority, renew, service
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory, wait_until
from tests.e2e.probe import Probe, probing

pytestmark = pytest.mark.long

SUBNET = IPv4Network("198.18.54.0/24")
VIP, SECOND = str(SUBNET[100]), str(SUBNET[101])
LOG = "/var/log/kube-edge/access.log"

LOST_POWER_SECONDS = 2.0
HAND_OVER_SECONDS = 1.5
"""VRRP takes 0.1 to 0.65 s; a busy machine's clients some more."""


@pytest.fixture(scope="module")
def outside() -> Authority:
    return outside_authority()


@pytest.fixture(scope="module")
def bed(beds: BedFactory, outside: Authority) -> Bed:
    lab = standard(name=f"{PREFIX}lb", subnet=SUBNET, control_planes=1, workers=1, load_balancers=2)
    instances = {"second": {"vip": SECOND, "preferred": "lb2"}}
    settings = {"load_balancer": {"preferred": "lb1", "instances": instances}, "applications": in_inventory()}
    bed = beds(lab, settings)
    renew(bed.folder, outside)
    bed.run("up").expect(0, "is ready")
    deploy(bed)
    return bed


@contextmanager
def clients(bed: Bed, outside: Authority) -> Iterator[list[Probe]]:
    """Of the API and an application at the first VIP, and of the other application at the second."""
    api = Probe(VIP, 6443, bed.ssh("cp1", "cat /etc/kubernetes/pki/ca.crt"))
    probes = [api, application(outside, "shop", VIP), application(outside, "billing", SECOND)]
    with ExitStack() as stack:
        yield [stack.enter_context(probing(probe)) for probe in probes]


def holder(bed: Bed, vip: str) -> list[str]:
    """The load balancers that have it."""
    shown = bed.on_all(f"ip -4 -oneline address show to {vip}/32", ["lb1", "lb2"])
    return [name for name, said in shown.items() if said]


def test_a_second_run_is_empty(bed: Bed) -> None:
    assert bed.plan() == {}
    preferred = (["lb1"], ["lb2"])
    wait_until(
        lambda: (holder(bed, VIP), holder(bed, SECOND)) == preferred, seconds=60, what="each VIP is where it belongs"
    )
    bed.run("status").expect(0, "healthy", "VIP")


def test_each_name_has_its_certificate_at_every_vip(bed: Bed, outside: Authority) -> None:
    serials = {name: {application(outside, name, vip).serial() for vip in (VIP, SECOND)} for name in NAMES}
    assert all(len(found) == 1 for found in serials.values())
    assert serials["shop"] != serials["billing"]
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized"):
        application(outside, "nobody", VIP).serial()
    probe = application(outside, "shop", VIP)
    probe.ask()
    assert probe.failures() == []
    assert '"application":"shop"' in bed.ssh("lb1", f"grep /health {LOG} | tail -1")


def test_a_renewed_certificate_breaks_no_request(bed: Bed, outside: Authority) -> None:
    probe = application(outside, "shop", VIP)
    before = probe.serial()
    renew(bed.folder, outside)
    with probe.connection() as line, clients(bed, outside) as probes:
        line.settimeout(60)
        line.sendall(
            b"POST /health HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 2\r\nConnection: close\r\n\r\n1"
        )
        bed.run("up").expect(0)
        wait_until(lambda: probe.serial() != before, seconds=20, what="another certificate")
        line.sendall(b"2")
        assert b" 200 " in line.recv(200)
    broken = [request.error for one in probes for request in one.failures() if "Timeout" not in request.error]
    assert broken == [], "a busy machine's clients may wait too long; nobody may be refused or cut off"
    assert bed.plan() == {}


def test_a_load_balancer_without_power(bed: Bed, outside: Authority) -> None:
    with ExitStack() as afterwards, clients(bed, outside) as probes:
        time.sleep(2)
        since = time.monotonic()
        afterwards.enter_context(bed.without_power("lb1"))
        shown = f"ip -4 -oneline address show to {VIP}/32"
        wait_until(lambda: bed.ssh("lb2", shown) != "", seconds=20, what="lb2 has the VIP")
        time.sleep(4)
    bed.note("a load balancer without power: " + "; ".join(f"{one.port}: {one.silence():.2f} s" for one in probes))
    assert all(one.silence() < LOST_POWER_SECONDS for one in probes), [one.summary(since) for one in probes]
    wait_until(lambda: holder(bed, VIP) == ["lb1"], seconds=60, what="the preferred one has it again")


def test_load_balancers_hand_over_before_they_are_booted_anew(bed: Bed, outside: Authority) -> None:
    with clients(bed, outside) as probes:
        since = time.monotonic()
        bed.run("reboot", "--limit", "load-balancer").expect(0)
    bed.note("load balancers rebooted: " + "; ".join(f"{one.port}: {one.silence():.2f} s" for one in probes))
    assert all(one.silence() < HAND_OVER_SECONDS for one in probes), [one.summary(since) for one in probes]
    bed.run("verify").expect(0, "tests passed")


def test_an_application_without_a_service_is_named(bed: Bed) -> None:
    bed.kubectl("delete service billing")
    try:
        bed.run("verify").expect(7, f"https://billing.example.com at {VIP} (cp1): 502: no worker answers for it")
    finally:
        bed.ssh("cp1", "kubectl apply -f -", said=service("billing"))
    bed.run("verify").expect(0, "tests passed")
