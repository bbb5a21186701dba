"""Any one control-plane host may lose its power: the API answers again within seconds, and the host heals by itself."""

import time

import pytest

from tests.e2e.bed import Bed
from tests.e2e.conftest import wait_until
from tests.e2e.observe import vip_holders
from tests.e2e.probe import Probe, probing

LONGEST_OUTAGE = 3.0
LONGEST_WITHOUT_ETCD = 6.0
"""An apiserver says that its etcd member is down after 2 to 4 s; then the proxies need up to 1.3 s."""
NOTICED_SECONDS = 5.0
"""After a power cut, until no proxy tries that host any more."""
SLOW = 0.9
"""A request that a proxy sends to a host without power first takes a second longer (proxy_connect_timeout)."""
WATCHED_SECONDS = 12
"""After the fault: longer than any list of dead servers is kept (nginx: 2 s)."""
HEALED_SECONDS = 60
PROGRAM = "/opt/kbootstrap/libexec/kube-endpoint"

WELL = """\
etcdctl endpoint health >/dev/null 2>&1 && echo well
curl --silent --max-time 3 --cacert /etc/kubernetes/pki/ca.crt https://{address}:6443/readyz"""


@pytest.fixture
def probe(shared: Bed) -> Probe:
    return Probe(str(shared.spec.vip), 6443, shared.ssh("cp1", "cat /etc/kubernetes/pki/ca.crt"))


@pytest.mark.parametrize("holds_vip", [True, False], ids=["the VIP's holder", "another one"])
def test_a_control_plane_host_loses_its_power(shared: Bed, probe: Probe, holds_vip: bool) -> None:
    [holder] = vip_holders(shared)
    victim = holder if holds_vip else next(host for host in shared.control_planes if host != holder)
    others = [host for host in shared.control_planes if host != victim]
    try:
        with probing(probe):
            time.sleep(1)
            cut = time.monotonic()
            shared.lab.power_off(victim)
            time.sleep(WATCHED_SECONDS)
        shared.note(probe.summary(cut))
        assert not [request for request in probe.failures() if request.ended < cut]
        assert probe.outage(cut) <= LONGEST_OUTAGE
        assert probe.silence() <= LONGEST_OUTAGE
        assert not probe.slow(SLOW, cut + NOTICED_SECONDS)
        assert len(vip_holders(shared, others)) == 1
    finally:
        shared.lab.power_on(victim)
    on = time.monotonic()
    shared.lab.wait_ssh([victim])
    wait_until(lambda: is_well(shared, victim), seconds=HEALED_SECONDS, what=f"etcd and the apiserver of {victim}")
    wait_until(
        lambda: shared.ready_nodes(host=others[0]) == sorted(shared.nodes),
        seconds=HEALED_SECONDS - (time.monotonic() - on),
        what="all nodes are Ready",
    )
    shared.note(f"healed in {time.monotonic() - on:.1f} s")
    assert len(vip_holders(shared)) == 1
    shared.run("up").expect(0, "Nothing to change")


def test_an_etcd_member_is_stopped(shared: Bed, probe: Probe) -> None:
    """Its own apiserver runs on and can serve nobody: the proxies notice, nobody is sent there, and nobody stays."""
    kept = f"ss -Htnp state established dst {shared.spec.hosts['cp2'].address}:6443 | grep nginx || :"
    try:
        with probing(probe):
            cut = time.monotonic()
            shared.ssh("cp2", "systemctl stop etcd")
            time.sleep(WATCHED_SECONDS)
        shared.note(probe.summary(cut)[:1000])
        assert probe.outage(cut) <= LONGEST_WITHOUT_ETCD
        assert states(shared, "cp2") == {"unready"}
        assert set(shared.on_all(kept, shared.control_planes).values()) == {""}
    finally:
        shared.ssh("cp2", "systemctl start etcd")
        wait_until(lambda: is_well(shared, "cp2"), seconds=HEALED_SECONDS, what="etcd and the apiserver of cp2")
        wait_until(lambda: states(shared, "cp2") == {"in"}, seconds=HEALED_SECONDS, what="cp2 is in")


def test_an_apiserver_is_taken_out_restarted_and_put_in_again(shared: Bed, probe: Probe) -> None:
    """Nobody notices."""
    address = shared.spec.hosts["cp2"].address
    with probing(probe):
        began = time.monotonic()
        shared.on_all(f"{PROGRAM} out {address} 120", shared.control_planes)
        assert states(shared, "cp2") == {"out"}
        shared.ssh("cp2", "systemctl restart kube-apiserver", timeout=120)
        shared.on_all(f"{PROGRAM} in {address} 60", shared.control_planes)
        time.sleep(1)
    shared.note(probe.summary(began)[:1000])
    assert states(shared, "cp2") == {"in"}
    assert probe.failures() == []


def test_the_last_apiserver_is_not_taken_out(shared: Bed) -> None:
    first, second, third = (shared.spec.hosts[name].address for name in shared.control_planes)
    try:
        shared.ssh("cp1", f"{PROGRAM} out {first} 60 && {PROGRAM} out {second} 60")
        refused = shared.ssh("cp1", f"{PROGRAM} out {third} 60 2>&1; echo $?", check=False)
        assert refused.endswith("1")
        assert f"{third} stays in: no other apiserver is in and ready" in refused
    finally:
        for address in (first, second):
            shared.ssh("cp1", f"{PROGRAM} in {address} 30")
    assert states(shared, "cp1") == {"in"}


def states(bed: Bed, host: str) -> set[str]:
    """How the proxies of all control-plane hosts see the apiserver of a host."""
    address = str(bed.spec.hosts[host].address)
    shown = bed.on_all(f"{PROGRAM} show", bed.control_planes)
    rows = [line.split("\t") for text in shown.values() for line in text.splitlines()]
    return {state for subject, state, *_ in rows if subject == address}


def is_well(bed: Bed, host: str) -> bool:
    """Its etcd member is healthy and its apiserver is ready."""
    return bed.ssh(host, WELL.format(address=bed.spec.hosts[host].address), check=False) == "well\nok"
