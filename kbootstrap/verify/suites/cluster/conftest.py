"""What only the suites about all hosts together ask for."""

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify.etcd import EtcdCluster, ask
from kbootstrap.verify.everywhere import Everywhere


@pytest.fixture(scope="session")
def etcd(hosts: Everywhere, cluster: Cluster) -> EtcdCluster:
    """etcd as its members see it."""
    return ask(hosts, cluster)
