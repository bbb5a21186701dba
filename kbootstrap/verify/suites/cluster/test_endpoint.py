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
    holders = sorted(name for name, said in shown.items() if said)
    assert len(holders) == 1, f"{endpoint.vip} is held by: {', '.join(holders) or 'nobody'}"
    assert holders[0] in [host.name for host in cluster.control_planes], f"{endpoint.vip} is in the wrong place"
