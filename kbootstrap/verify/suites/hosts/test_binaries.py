"""The programs: the right version, and every byte as it was delivered."""

import pytest
from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify.layout import of_kubernetes


def test_version(host: Remote, component: str, cluster: Cluster) -> None:
    """The version in use is the inventory's."""
    if not of_kubernetes(component):
        pytest.skip("its version is the catalogue's")
    link = host.check_output("readlink /opt/kbootstrap/%s/current", component)
    assert link == str(cluster.kubernetes), f"{component} is of another version"


def test_content(host: Remote, component: str) -> None:
    """The programs are what their digests say."""
    check = host.run(
        "cd /opt/kbootstrap/%s/current && test -s SHA256SUMS && nice sha256sum --check --quiet SHA256SUMS", component
    )
    assert check.succeeded, f"a program of {component} is missing or was changed after it was delivered"
