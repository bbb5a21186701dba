"""Any one control-plane host may lose its power: the API answers again within seconds, and the host heals by itself."""

import time

import pytest

from tests.e2e.bed import Bed
from tests.e2e.conftest import wait_until
from tests.e2e.observe import vip_holders
from tests.e2e.probe import Probe, probing

LONGEST_OUTAGE = 3.0
WATCHED_SECONDS = 12
"""After the power cut: longer than any list of dead servers is kept (nginx: 10 s)."""
HEALED_SECONDS = 60

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


@pytest.mark.xfail(strict=True, reason="the proxies go on to an apiserver that accepts connections and has no etcd")
def test_an_etcd_member_is_stopped(shared: Bed, probe: Probe) -> None:
    """Its own apiserver runs on and can serve nobody."""
    try:
        with probing(probe):
            cut = time.monotonic()
            shared.ssh("cp2", "systemctl stop etcd")
            time.sleep(WATCHED_SECONDS)
        shared.note(probe.summary(cut)[:1000])
        assert probe.outage(cut) <= LONGEST_OUTAGE
    finally:
        shared.ssh("cp2", "systemctl start etcd")
        wait_until(lambda: is_well(shared, "cp2"), seconds=HEALED_SECONDS, what="etcd and the apiserver of cp2")


def is_well(bed: Bed, host: str) -> bool:
    """Its etcd member is healthy and its apiserver is ready."""
    return bed.ssh(host, WELL.format(address=bed.spec.hosts[host].address), check=False) == "well\nok"
