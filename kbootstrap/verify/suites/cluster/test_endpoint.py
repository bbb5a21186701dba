"""The one address of the API."""

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify.everywhere import Everywhere
from kbootstrap.verify.layout import holds_vip, is_real_server


def test_vip_holder(hosts: Everywhere, cluster: Cluster) -> None:
    """Exactly one host holds each virtual IP, and it is one that may."""
    if not cluster.vips:
        pytest.skip("there is no virtual IP")
    for vip in cluster.vips:
        shown = hosts.run(f"ip -4 -oneline address show to {vip}/32")
        may = [host.name for host in cluster.hosts if holds_vip(cluster, host)]
        real = [host.name for host in cluster.hosts if is_real_server(cluster, host)]  # they have it without answering
        holders = ", ".join(sorted(name for name, said in shown.items() if f" {vip}/" in said and name not in real))
        assert holders in may, f"who holds {vip}"
