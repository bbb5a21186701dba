"""The inventory that the lab writes is one that kbootstrap reads."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kbootstrap.errors import LabError
from kbootstrap.lab.inventory import inventory
from kbootstrap.lab.spec import HostSpec, LabSpec, Options, standard
from kbootstrap.model.cluster import Cluster, Role, Sudo
from kbootstrap.model.load import load_inventory

REPOSITORY = Path(__file__).parents[3]
HOME = {"HOME": "/home/me"}


def load(tmp_path: Path, spec: LabSpec) -> Cluster:
    file = tmp_path / "inventory.yml"
    file.write_text(inventory(spec))
    return load_inventory(file, environ=HOME, local=False)


def test_the_one_in_the_repository_is_that_of_the_default_lab() -> None:
    assert (REPOSITORY / "inventories/lab.yml").read_text() == inventory(standard())


def test_it_is_valid_and_says_how_to_log_in(tmp_path: Path) -> None:
    cluster = load(tmp_path, standard(name="t1", etcd=3, workers=1))
    ssh = cluster.hosts[0].ssh
    assert [host.name for host in cluster.hosts] == ["cp1", "cp2", "cp3", "w1", "etcd1", "etcd2", "etcd3"]
    assert cluster.hosts[-1].roles == {Role.ETCD}
    assert (ssh.user, ssh.port) == ("root", 22)
    assert str(ssh.identity_file) == "/home/me/.cache/kbootstrap/lab/t1/id_ed25519"
    assert str(ssh.known_hosts) == "/home/me/.cache/kbootstrap/lab/t1/known_hosts"


def test_what_is_special_about_a_host_is_in_it(tmp_path: Path) -> None:
    def host(number: int, role: Role | None, **special: object) -> HostSpec:
        address = IPv4Address(f"198.18.0.{number}")
        return HostSpec.model_validate({"address": address, "roles": [role] if role else [], **special})

    spec = LabSpec(
        options=Options(login="admin", ssh_port=2222),
        hosts={
            "bastion": host(9, None, login="root"),
            "cp1": host(11, Role.CONTROL_PLANE),
            "w1": host(21, Role.WORKER, login="deploy", ssh_port=22, jump="cp1"),
            "w2": host(22, Role.WORKER, jump="bastion"),
        },
    )
    hosts = {host.name: host for host in load(tmp_path, spec).hosts}
    assert list(hosts) == ["cp1", "w1", "w2"]
    assert (hosts["cp1"].ssh.user, hosts["cp1"].ssh.port, hosts["cp1"].ssh.sudo) == ("admin", 2222, Sudo.NOPASSWD)
    assert (hosts["w1"].ssh.user, hosts["w1"].ssh.port, hosts["w1"].ssh.sudo) == ("deploy", 22, Sudo.PASSWORD)
    assert len(hosts["w1"].ssh.jump) == 1
    assert list(hosts["w2"].ssh.jump) == ["root@198.18.0.9:2222"]


@pytest.mark.parametrize(("emulated", "scale"), [(False, 1), (True, 4)])
def test_virtual_machines_have_coarse_clocks_and_emulated_ones_time(
    tmp_path: Path, emulated: bool, scale: float
) -> None:
    file = tmp_path / "inventory.yml"
    file.write_text(inventory(standard(load_balancers=2, vm=["load-balancer"]), emulated=emulated))
    settings = load_inventory(file, environ=HOME, local=False).settings
    assert (settings.host.max_clock_skew_seconds, settings.timeouts.scale) == (5, scale)


def test_containers_have_the_machine_s_clock_and_speed(tmp_path: Path) -> None:
    settings = load(tmp_path, standard()).settings
    assert (settings.host.max_clock_skew_seconds, settings.timeouts.scale) == (1, 1)


def test_a_lab_of_bare_hosts_has_no_inventory() -> None:
    with pytest.raises(LabError, match="no host of this lab has a role"):
        inventory(standard(control_planes=0, workers=0, bare=3))
