"""What must be the same on all hosts."""

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths
from kbootstrap.verify.everywhere import Everywhere
from kbootstrap.verify.reading import differing

AUTHORITIES = (paths.CA_CERTIFICATE, paths.ETCD_CA_CERTIFICATE)
SHARED = (paths.CA_KEY, paths.ETCD_CA_KEY, paths.FRONT_PROXY_CA_KEY, paths.SERVICE_ACCOUNT_PRIVATE)


@pytest.mark.parametrize("path", AUTHORITIES, ids=str)
def test_authority(hosts: Everywhere, path: object) -> None:
    """All hosts trust the same authority."""
    assert differing(hosts.run(f"sha256sum <{path}")) == {}, f"{path} is another one on these hosts (its digest)"


@pytest.mark.parametrize("path", SHARED, ids=str)
def test_shared_key(hosts: Everywhere, cluster: Cluster, path: object) -> None:
    """All control-plane hosts have the same key."""
    control_planes = {host.name for host in cluster.control_planes}
    digests = hosts.run(f"sha256sum <{path}", control_planes)
    assert sorted(differing(digests)) == [], f"{path} is another one on these hosts"


def test_clocks(hosts: Everywhere, cluster: Cluster) -> None:
    """The hosts' clocks agree."""
    spread = hosts.clock_spread()
    limit = cluster.settings.host.max_clock_skew_seconds
    assert spread <= limit, "clocks are apart (seconds); etcd warns at 1 s, certificates and leases suffer"
