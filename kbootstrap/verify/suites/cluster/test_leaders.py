"""Of the daemons that work one at a time, exactly one does."""

from datetime import UTC, datetime

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify.kube import Kube


@pytest.mark.parametrize("daemon", ["kube-controller-manager", "kube-scheduler"])
def test_leader(api: Kube, cluster: Cluster, daemon: str) -> None:
    """One of the control-plane hosts leads, and renews its lease."""
    lease = api.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{daemon}")["spec"]
    holder = lease.get("holderIdentity", "").partition("_")[0]
    assert holder in [host.name for host in cluster.control_planes], "the lease's holder"
    age = (datetime.now(UTC) - datetime.fromisoformat(lease["renewTime"])).total_seconds()
    allowed = lease["leaseDurationSeconds"] + cluster.settings.host.max_clock_skew_seconds
    assert age <= allowed, f"{holder} has not renewed its lease (seconds); on {holder}: journalctl -u {daemon}"
