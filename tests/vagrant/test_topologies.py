"""The larger topologies: their machines boot, and are fit for the cluster."""

import pytest

from tests.vagrant.conftest import machines
from tests.vagrant.project import Project

pytestmark = pytest.mark.long


@pytest.mark.parametrize("topology", ["ha", "load-balancers"])
def test_machines_are_fit(vagrant: Project, topology: str) -> None:
    with machines(vagrant, topology):
        vagrant.kbootstrap("preflight", inventory=f"vagrant-{topology}.yml").expect()
