"""What somebody breaks on a host: `plan` names exactly that, `up` mends exactly that, and nothing else restarts."""

from dataclasses import dataclass

import pytest

from tests.e2e.bed import Bed
from tests.e2e.observe import running_units

FORGET_SYSCTLS = "sed -i '/nonlocal_bind/d' /etc/sysctl.d/90-kbootstrap.conf; sysctl -qw net.ipv4.ip_nonlocal_bind=0"
SWAP_BINARY = "cd /opt/kbootstrap/kube-proxy/current && cp kube-proxy other && echo >>other && mv other kube-proxy"


@dataclass(frozen=True, slots=True)
class Drift:
    """What is done to a host; what the titles of the changes name, all of it and nothing else; which services start."""

    spoil: str
    named: tuple[str, ...]
    restarts: tuple[str, ...] = ()


ROUNDS = {
    "files": {
        "cp1": Drift(FORGET_SYSCTLS, ("kernel parameters",)),
        "cp2": Drift("echo '# mine' >>/etc/kbootstrap/keepalived.conf", ("keepalived",)),
        "cp3": Drift(
            "sed -i s/bind-address/bound-address/ /etc/systemd/system/kube-scheduler.service",
            ("kube-scheduler.service",),
            ("kube-scheduler.service",),
        ),
        "w1": Drift(
            "rm /etc/systemd/system/kubelet.service; systemctl daemon-reload",
            ("kubelet.service",),
            ("kubelet.service",),
        ),
        "w2": Drift("rm /etc/containerd/config.toml", ("containerd",), ("containerd.service",)),
    },
    "services": {
        "cp1": Drift("kubectl -n kube-system delete deployment coredns", ("coredns",)),
        "cp2": Drift("systemctl stop kube-scheduler", ("kube-scheduler.service",), ("kube-scheduler.service",)),
        "cp3": Drift(
            "systemctl stop kube-controller-manager",
            ("kube-controller-manager.service",),
            ("kube-controller-manager.service",),
        ),
        "w1": Drift("systemctl disable --quiet kubelet", ("kubelet.service",)),
        "w2": Drift("systemctl disable --now --quiet kube-proxy", ("kube-proxy.service",), ("kube-proxy.service",)),
    },
    "programs": {
        "cp1": Drift("rm /opt/kbootstrap/kube-scheduler/current/kube-scheduler", ("kube-scheduler",)),
        # The apiserver that asks this member alone steps aside meanwhile.
        "cp2": Drift(
            "rm /opt/kbootstrap/etcd/current", ("etcd",), ("etcd.service", "kube-apiserver.service")
        ),
        "cp3": Drift("rm -r /opt/kbootstrap/runc", ("runc",)),
        "w1": Drift("rm /opt/cni/bin/portmap", ("/opt/cni/bin/portmap",)),
        "w2": Drift(SWAP_BINARY, ("kube-proxy",)),
    },
    "secrets": {
        "cp1": Drift("chmod 644 /etc/kubernetes/pki/ca.key", ("/etc/kubernetes/pki/ca.key",)),
        "cp2": Drift(
            "rm /etc/kubernetes/pki/apiserver-etcd-client.crt",
            ("apiserver-etcd-client", "kube-apiserver.service"),
            ("kube-apiserver.service",),
        ),
        "cp3": Drift("chown nobody /etc/kubernetes/pki/apiserver.key", ("apiserver",)),
        "w1": Drift(
            "rm /etc/kubernetes/pki/ca.crt",
            ("/etc/kubernetes/pki/ca.crt", "kubelet.service"),
            ("kubelet.service",),
        ),
        "w2": Drift("sed -i /cp2/d /etc/hosts", ("/etc/hosts",)),
    },
}  # fmt: skip


@pytest.mark.parametrize("drifts", ROUNDS.values(), ids=ROUNDS.keys())
def test_drift_is_named_and_mended_and_nothing_else_restarts(shared: Bed, drifts: dict[str, Drift]) -> None:
    before = running_units(shared)
    try:
        for host, drift in drifts.items():
            shared.ssh(host, drift.spoil)
        planned = shared.plan()
    finally:
        mended = shared.run("up", "--verbose").expect(0, "is ready")
    assert planned.keys() == drifts.keys()
    for host, drift in drifts.items():
        titles = planned[host]
        assert [title for title in titles if not any(name in title for name in drift.named)] == [], host
        assert [name for name in drift.named if not any(name in title for title in titles)] == [], host
    assert f"{sum(map(len, planned.values()))} changes in" in mended.out
    shared.require_converged()
    after = running_units(shared)
    for host, drift in drifts.items():
        assert {line.split("Id=")[1].split()[0] for line in before[host] ^ after[host]} == set(drift.restarts), host
