"""What the suites of one host ask for: the host, and what must be on it."""

from typing import Any

import pytest
from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Host
from kbootstrap.verify import layout
from kbootstrap.verify.backend import host_over
from kbootstrap.verify.session import JOB, REMOTES

EXPECTATIONS: dict[str, Any] = {
    "package": layout.packages,
    "module": layout.modules,
    "sysctl": layout.sysctls,
    "unit": layout.units,
    "component": layout.binaries,
    "port": layout.ports,
    "certificate": layout.certificates,
    "kubeconfig": layout.kubeconfigs,
    "authority": layout.authorities,
    "secret": layout.secrets,
    "folder": layout.folders,
    "apiserver_flag": layout.apiserver_flags,
    "real_server": layout.real_servers,
}
"""A test that asks for one of these runs once for each that the host should have."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    job = metafunc.config.stash[JOB]
    for name, expected in EXPECTATIONS.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, expected(job.cluster, job.cluster.host(job.subject)), ids=str)


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest) -> Host:
    """The host as the inventory has it."""
    job = request.config.stash[JOB]
    return job.cluster.host(job.subject)


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> Remote:
    """The host as testinfra has it."""
    job = request.config.stash[JOB]
    return host_over(request.config.stash[REMOTES][job.subject], job.cluster.settings.timeouts.scale)
