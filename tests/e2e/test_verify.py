"""`verify` passes on a cluster that is well, and names what is broken in one that is not."""

import json
from xml.etree import ElementTree

import pytest

from tests.e2e.bed import Bed
from tests.e2e.observe import pods, vip_holders

BROKEN = 7


def test_a_cluster_that_is_well_passes_and_is_as_before(shared: Bed) -> None:
    before = pods(shared), shared.kubectl("get namespaces --output=name")
    junit = shared.folder / "verify.xml"
    report = shared.run("verify", "--json", "--junit", str(junit)).expect()
    assert json.loads(report.out)
    suites = ElementTree.parse(junit).getroot()
    assert len(list(suites.iter("testcase"))) > 100
    assert not list(suites.iter("failure"))
    assert (pods(shared), shared.kubectl("get namespaces --output=name")) == before
    shared.run("plan").expect(0)


@pytest.mark.parametrize(
    ("host", "spoil", "mend", "said"),
    [
        pytest.param(
            "cp2",
            "chmod 644 /etc/kubernetes/pki/ca.key",
            "chmod 600 /etc/kubernetes/pki/ca.key",
            "/etc/kubernetes/pki/ca.key",
            id="a key that anybody can read",
        ),
        pytest.param(
            "cp3",
            "systemctl stop kube-scheduler",
            "systemctl start kube-scheduler",
            "kube-scheduler",
            id="a stopped service",
        ),
        pytest.param(
            "w1",
            "sysctl -qw net.ipv4.ip_forward=0",
            "sysctl -qw net.ipv4.ip_forward=1",
            "net.ipv4.ip_forward",
            id="a kernel parameter",
        ),
    ],
)
def test_what_is_broken_is_named(shared: Bed, host: str, spoil: str, mend: str, said: str) -> None:
    shared.ssh(host, spoil)
    try:
        report = shared.run("verify", "--hosts-only").expect(BROKEN, host, said)
        assert "Traceback" not in report.text
    finally:
        shared.ssh(host, mend)


def test_two_holders_of_the_vip(shared: Bed) -> None:
    other = next(host for host in shared.control_planes if host not in vip_holders(shared))
    shared.ssh(other, f"ip address add {shared.spec.vip}/32 dev eth0")
    try:
        shared.run("verify", "--hosts-only").expect(BROKEN, str(shared.spec.vip), other)
    finally:
        shared.ssh(other, f"ip address del {shared.spec.vip}/32 dev eth0")
    shared.run("verify", "--hosts-only").expect(0)
