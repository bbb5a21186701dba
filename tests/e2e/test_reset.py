"""`reset` takes everything off, and `up` works again on what is left. The shared cluster is gone afterwards."""

from collections.abc import Iterator

import pytest

from tests.e2e.bed import Bed
from tests.e2e.conftest import Shared

OURS = """\
ls -d /etc/kubernetes /etc/etcd /etc/kbootstrap /opt/kbootstrap /opt/cni /etc/cni /etc/containerd /etc/flannel \
  /var/lib/kbootstrap /etc/sysctl.d/90-kbootstrap.conf /etc/modules-load.d/kbootstrap.conf 2>/dev/null
ls -A /var/lib/etcd /var/lib/kubelet /var/lib/containerd 2>/dev/null | grep -v ':$' | grep .
grep -l kbootstrap /etc/hosts /etc/systemd/system/* 2>/dev/null
grep -c containerd /proc/mounts | grep -v '^[01]$'
ip -o link | grep -E 'flannel|cni0|veth'
pgrep -l 'etcd|kube|containerd|flanneld|nginx|keepalived'"""


@pytest.fixture
def last(shared: Bed, shared_cluster: Shared) -> Iterator[Bed]:
    yield shared
    shared_cluster.remove()


def test_reset_asks_first(shared: Bed) -> None:
    outcome = shared.run("reset")
    assert outcome.code != 0
    assert "Traceback" not in outcome.text
    shared.require_converged()


def test_reset_leaves_bare_hosts_on_which_up_works_again(last: Bed) -> None:
    last.run("reset", "--yes").expect()
    assert set(last.on_all(f"{{ {OURS}; }} || true").values()) == {""}
    last.run("reset", "--yes").expect()
    last.run("up").expect(0, "is ready")
    last.require_converged()
