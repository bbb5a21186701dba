"""The Vagrantfile and the inventories that it reads."""

import re
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from kbootstrap.model.load import load_inventory

ROOT = Path(__file__).parents[3]
INVENTORIES = dict(re.findall(r'"([a-z-]+)" => "(inventories/[a-z-]+\.yml)"', (ROOT / "Vagrantfile").read_text()))
HOST_ONLY = IPv4Network("192.168.56.0/21")
"""Which addresses VirtualBox gives out unless it is told otherwise (since 6.1.28)."""
LEAST_MEMORY = {"load-balancer": 512, "worker": 1024, "control-plane": 1700}


def test_there_are_three_topologies() -> None:
    assert list(INVENTORIES) == ["single", "ha", "load-balancers"]
    assert {f"{path.name}" for path in (ROOT / "inventories").glob("vagrant*.yml")} == {
        Path(path).name for path in INVENTORIES.values()
    }


@pytest.mark.parametrize("path", INVENTORIES.values())
def test_machines_are_found_by_name_and_large_enough(path: str) -> None:
    cluster = load_inventory(ROOT / path, environ={"HOME": "/home/user"}, local=False)
    for host in cluster.hosts:
        assert host.ssh_address == host.name
        assert host.address in HOST_ONLY
        memory = int(str(host.variables["memory"]))
        assert all(memory >= LEAST_MEMORY.get(role, 0) for role in host.roles)
        assert int(str(host.variables["cpus"])) >= (2 if host.is_control_plane else 1)
    assert all(vip in HOST_ONLY for vip in cluster.vips)
