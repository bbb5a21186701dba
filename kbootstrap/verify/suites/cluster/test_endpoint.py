"""The one address of the API."""

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify.everywhere import Everywhere


def test_vip_holder(hosts: Everywhere, cluster: Cluster) -> None:
    """Exactly one host holds the virtual IP, and it is a control-plane host."""
    endpoint = cluster.settings.endpoint
    if endpoint.mode != "vip":
        pytest.skip("there is no virtual IP")
    shown = hosts.run(f"ip -4 -oneline address show to {endpoint.vip}/32")
    holders = ", ".join(sorted(name for name, said in shown.items() if said))
    assert holders in [host.name for host in cluster.control_planes], f"who holds {endpoint.vip}"
