"""What all suites may ask for: the cluster as the inventory has it, its hosts, its API."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify import kube
from kbootstrap.verify.api import ApiAccess
from kbootstrap.verify.everywhere import Everywhere
from kbootstrap.verify.kube import Kube
from kbootstrap.verify.session import JOB, REMOTES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `node`, `control_plane` or `application` runs once for each."""
    cluster = metafunc.config.stash[JOB].cluster
    for name, hosts in (("node", cluster.nodes), ("control_plane", cluster.control_planes)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, hosts, ids=[host.name for host in hosts])
    if "application" in metafunc.fixturenames:
        metafunc.parametrize("application", list(cluster.settings.applications))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return request.config.stash[JOB].cluster


@pytest.fixture(scope="session")
def minimum_days(request: pytest.FixtureRequest) -> int:
    """How long certificates must still be valid."""
    return request.config.stash[JOB].minimum_days


@pytest.fixture(scope="session")
def now(request: pytest.FixtureRequest) -> datetime:
    """When the verification takes place, by this machine's clock."""
    return request.config.stash[JOB].now


@pytest.fixture(scope="session")
def hosts(request: pytest.FixtureRequest, cluster: Cluster) -> Everywhere:
    """All hosts that the session can reach."""
    return Everywhere(request.config.stash[REMOTES], cluster.settings.timeouts.scale)


@pytest.fixture(scope="session")
def access(request: pytest.FixtureRequest) -> ApiAccess | str:
    """The way to the API, or why there is none."""
    return request.config.stash[JOB].api


@pytest.fixture(scope="session")
def api(access: ApiAccess | str, cluster: Cluster) -> Iterator[Kube]:
    """The API; one test tells why it is not there, the others are left out."""
    if isinstance(access, str):
        pytest.skip("there is no way to the API")
    with kube.opened(access, cluster.settings.timeouts.scale) as api:
        yield api
