"""Load balancers with a kernel of their own, virtual machines, forward connections to a cluster of containers (LVS)."""

import http.client
import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network

import pytest
import yaml

from kbootstrap.lab.spec import standard
from kbootstrap.pki.authority import Authority
from tests.e2e.applications import NAMES, NamedProbe, application, deploy, in_inventory, outside_authority, renew
from tests.e2e.applications import PROBES as EDGE_PROBES
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory, wait_until
from tests.e2e.drilling import changed, require_failed, require_passed
from tests.e2e.probe import Probe, probing
from tests.e2e.test_upgrade import NEWER, report, require_unnoticed, versions

pytestmark = pytest.mark.long

SUBNET = IPv4Network("198.18.55.0/24")
VIP = str(SUBNET[100])
DIRECTORS = ["lb1", "lb2"]

ADVERT_SECONDS = 0.4
"""Between VRRP's announcements: a holder that is silent for three is gone, and emulated ones stall."""
PROBE_SECONDS = 0.25
"""Between two requests of a client: at twenty a second for each name they take all that emulated directors have."""
EDGE_SECONDS = 0.5
"""Between two requests of a client to an application: each costs an emulated director's one processor 20 ms."""
PROBES = ("--probe-rate", "5")
"""API and applications together then take less than a third of its time. At twenty a second, other drills' rate, nobody
got answers for seconds, and the cluster was found degraded."""
UP_SECONDS = 1800
"""Emulated directors install packages as slowly as they do everything else."""
SCALE = 4

LOST_POWER_SECONDS = 2.0
"""What a director's loss may cost; the drills allow it, too."""
HAND_OVER_SECONDS = 3.0
"""VRRP takes three announcements and a little more, 1.2 s, or 0.1 to 0.65 s; the next request comes after
PROBE_SECONDS; emulated directors take some more."""
DEAD_SERVER_SECONDS = 14.0
"""keepalived asks every second, twice with a second between, and waits SCALE seconds for each answer: 10 s, and some
more for emulated directors."""


KEEP_SECONDS = 60.0
"""An apiserver ends a connection on which nothing was asked for 90 s (Go's IdleTimeout, as it sets it)."""


@dataclass(slots=True)
class OpenConnection:
    """One of the API that stays open."""

    line: http.client.HTTPSConnection
    first: object
    """The socket that it began with."""
    done: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def ask(self) -> int:
        """The status of another answer, or -1 when the connection is not the same any more."""
        with self.turn:
            self.line.request("GET", "/readyz")
            answer = self.line.getresponse()
            answer.read()
            return answer.status if self.line.sock is self.first else -1

    def keep(self) -> None:
        """Asks now and then, until it is done; a connection that breaks is another one from then on."""
        while not self.done.wait(KEEP_SECONDS):
            with suppress(OSError, http.client.HTTPException):
                self.ask()


@dataclass(frozen=True, slots=True)
class Mixed:
    """The one cluster of these tests."""

    bed: Bed
    outside: Authority
    older: str
    """The version that it was made with."""


@pytest.fixture(scope="module")
def mixed(beds: BedFactory) -> Mixed:
    lab = standard(name=f"{PREFIX}mixed", subnet=SUBNET, load_balancers=2, vm=["load-balancer"])
    settings = {
        "keepalived": {"advert_interval": ADVERT_SECONDS},
        "load_balancer": {"preferred": "lb1", "lvs": {}},
        "applications": in_inventory(),
        "timeouts": {"scale": SCALE},
    }
    bed, outside = beds(lab, settings), outside_authority()
    renew(bed.folder, outside)
    older = yaml.safe_load(bed.inventory.read_text())["cluster"]["kubernetes"]
    return Mixed(bed, outside, older)


@pytest.fixture(scope="module", params=["nat", "dr"])
def bed(request: pytest.FixtureRequest, mixed: Mixed) -> Bed:
    """The same cluster with one method after the other. The last test with `nat` leaves it with a newer version."""
    version = {"nat": mixed.older, "dr": NEWER}[request.param]
    mixed.bed.write({"load_balancer": {"lvs": {"method": request.param}}, "cluster": {"kubernetes": version}})
    mixed.bed.run("up", timeout=UP_SECONDS).expect(0, "is ready")
    deploy(mixed.bed)
    return mixed.bed


@contextmanager
def api(bed: Bed) -> Iterator[Probe]:
    with probing(Probe(VIP, 6443, authority(bed), interval=PROBE_SECONDS)) as probe:
        yield probe


@contextmanager
def open_connection(bed: Bed) -> Iterator[OpenConnection]:
    context = ssl.create_default_context(cadata=authority(bed))
    line = http.client.HTTPSConnection(VIP, 6443, timeout=20, context=context)
    line.connect()
    kept = OpenConnection(line, line.sock)
    keeper = threading.Thread(target=kept.keep)
    keeper.start()
    try:
        yield kept
    finally:
        kept.done.set()
        keeper.join()
        line.close()


def slowly(probe: NamedProbe) -> NamedProbe:
    """The same with as few requests as emulated directors can serve."""
    probe.interval = EDGE_SECONDS
    return probe


def authority(bed: Bed) -> str:
    return bed.ssh("cp1", "cat /etc/kubernetes/pki/ca.crt")


def holder(bed: Bed) -> list[str]:
    """The load balancers that have the VIP, of those that are on."""
    on = [host.name for host in bed.lab.status() if host.name in DIRECTORS and host.ssh]
    shown = bed.on_all(f"ip -4 -oneline address show to {VIP}/32", on)
    return [name for name, said in shown.items() if said]


def wait_for_lb1(bed: Bed) -> None:
    """It is preferred: it takes the VIP when it has been well for 45 seconds."""
    wait_until(lambda: holder(bed) == ["lb1"], seconds=180, what="lb1 has the VIP")
    wait_until(lambda: len(servers(bed, "lb2")) == 3, seconds=60, what="the other's table is full")


def servers(bed: Bed, director: str) -> list[str]:
    """The real servers in a director's table."""
    return re.findall(r"-a -t \S+ -r (\S+) ", bed.ssh(director, "ipvsadm --save --numeric"))


def forwarded(bed: Bed) -> int:
    """How many connections lb1's kernel has forwarded."""
    said = bed.ssh("lb1", "ipvsadm --list --numeric --stats --exact")
    found = re.search(rf"TCP\s+{VIP}:6443\s+(\d+)", said)
    assert found, said
    return int(found.group(1))


def test_a_second_run_is_empty_and_status_shows_the_table(bed: Bed) -> None:
    assert bed.plan() == {}
    bed.run("status").expect(0, "healthy", f"lb1 forwards {VIP}:6443", f"lb2 forwards {VIP}:6443")
    bed.note(bed.ssh("lb1", "ipvsadm --list --numeric"))


def test_it_is_verified_and_applications_have_their_certificates(bed: Bed, mixed: Mixed) -> None:
    wait_for_lb1(bed)
    serials = {application(mixed.outside, name, VIP).serial() for name in NAMES}
    assert len(serials) == len(NAMES)
    verified = bed.run("verify", "-v", timeout=UP_SECONDS)
    if verified.code != 0:
        bed.note("\n".join(line for line in verified.out.splitlines() if "✓" not in line))
    verified.expect(0, "tests passed")


def test_every_control_plane_host_gets_connections(bed: Bed) -> None:
    wait_for_lb1(bed)
    before = forwarded(bed)
    with api(bed) as probe:
        time.sleep(3)
    assert probe.failures() == []
    assert forwarded(bed) - before >= len(probe.requests)
    assert len(servers(bed, "lb1")) == 3


def test_what_somebody_else_does_to_the_table_is_put_right(bed: Bed) -> None:
    server = servers(bed, "lb1")[0]
    flag = {"nat": "-m", "dr": "-g"}[method(bed)]
    bed.ssh("lb1", f"ipvsadm -e -t {VIP}:6443 -r {server} {flag} -w 0; ipvsadm -a -t {VIP}:6443 -r 198.18.55.9:6443")
    assert list(bed.plan()) == ["lb1"]
    bed.run("up", timeout=UP_SECONDS).expect(0)
    assert bed.plan() == {}
    bed.ssh("lb1", "ipvsadm --clear")
    assert list(bed.plan()) == ["lb1"]
    bed.run("up", timeout=UP_SECONDS).expect(0)
    assert bed.plan() == {}


def method(bed: Bed) -> str:
    return "nat" if bed.ssh("lb1", "ls /etc/kbootstrap/lvs.nft", check=False) else "dr"


def test_a_director_without_power(bed: Bed) -> None:
    wait_for_lb1(bed)
    with api(bed) as probe, open_connection(bed) as line:
        assert line.ask() == 200
        time.sleep(2)
        since = time.monotonic()
        with bed.without_power("lb1"):
            time.sleep(8)
            assert line.ask() == 200, "the other director knows the connection"
        wait_for_lb1(bed)
        assert line.ask() == 200, "the one that came back learned of it while it waited for the VIP"
    bed.note(f"{method(bed)}: a director without power: no answers for {probe.silence():.2f} s")
    assert probe.silence() < LOST_POWER_SECONDS, probe.summary(since)


def test_directors_hand_over_before_they_are_booted_anew(bed: Bed) -> None:
    wait_for_lb1(bed)
    with api(bed) as probe, open_connection(bed) as line:
        assert line.ask() == 200
        since = time.monotonic()
        bed.run("reboot", "--limit", "lb1", timeout=UP_SECONDS).expect(0)
        assert line.ask() == 200
        wait_for_lb1(bed)
        assert line.ask() == 200, "the one that came back learned of it while it waited for the VIP"
    bed.note(f"{method(bed)}: a director rebooted: no answers for {probe.silence():.2f} s")
    assert probe.silence() < HAND_OVER_SECONDS, probe.summary(since)


def test_a_real_server_without_power(bed: Bed) -> None:
    wait_for_lb1(bed)
    with ExitStack() as afterwards, api(bed) as probe:
        since = time.monotonic()
        afterwards.enter_context(bed.without_power("cp2"))
        out = wait_until(lambda: len(servers(bed, "lb1")) == 2, seconds=30, what="cp2 is out of the table")
        time.sleep(3)
        healed = time.monotonic()
        time.sleep(3)
    bed.note(f"{method(bed)}: a real server without power is out of the table after {out:.1f} s")
    assert probe.outage(since) < DEAD_SERVER_SECONDS, probe.summary(since)
    assert not [request for request in probe.failures() if request.began > healed]
    wait_until(lambda: len(servers(bed, "lb1")) == 3, seconds=120, what="cp2 is back in the table")


def test_the_drill_of_a_real_server(bed: Bed) -> None:
    """Those of the VIP are not run here: emulated load balancers are slower than their budgets."""
    wait_for_lb1(bed)
    wait_until(lambda: bed.run("status").code == 0, seconds=120, what="the cluster is healthy")
    require_passed(bed, "real-server-kill", options=PROBES)


def test_that_drill_when_nobody_asks_the_real_servers(bed: Bed) -> None:
    """keepalived looks at them once a minute."""
    config, reload = "/etc/kbootstrap/keepalived.conf", "systemctl reload kube-endpoint-keepalived"

    def settled() -> None:
        wait_until(lambda: bed.run("status").code == 0, seconds=180, what="the cluster is healthy")

    with changed(bed, DIRECTORS, config, "s/delay_loop .*/delay_loop 60/", reload, settled):
        wait_for_lb1(bed)
        require_failed(
            bed, "real-server-kill", says="no load balancer forwards to it: did not come about", options=PROBES
        )


def test_an_upgrade_goes_unnoticed(bed: Bed, mixed: Mixed) -> None:
    """There with `nat`, and back with `dr`."""
    wait_for_lb1(bed)
    way = ("--to", NEWER) if method(bed) == "nat" else ("--back",)
    with ExitStack() as stack:
        clients = [stack.enter_context(probing(slowly(application(mixed.outside, name, VIP)))) for name in NAMES]
        page = str(bed.folder / f"{method(bed)}.html")
        done = bed.run("upgrade", *way, *PROBES, "--report", page, timeout=UP_SECONDS)
    require_unnoticed(report(bed, done, method(bed)), *EDGE_PROBES)
    done.expect(0)
    assert versions(bed) == {NEWER if method(bed) == "nat" else mixed.older}
    for name, probe in zip(NAMES, clients, strict=True):
        bed.note(f"{name}: {probe.summary(0)}")
        assert not probe.failures()


def test_lvs_is_taken_out_and_the_proxies_behind_it_only_then(bed: Bed) -> None:
    """Nginx serves on the load balancers instead; the next method begins from there."""
    wait_for_lb1(bed)
    version = yaml.safe_load(bed.inventory.read_text())["cluster"]["kubernetes"]
    bed.write({"load_balancer": {"lvs": None}, "cluster": {"kubernetes": version}})
    with api(bed) as probe:
        bed.run("up", timeout=UP_SECONDS).expect(0)
    bed.note(f"without LVS from now: {probe.summary(0)}")
    assert probe.silence() < HAND_OVER_SECONDS
    assert not probe.failures()
    assert bed.plan() == {}
