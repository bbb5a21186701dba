"""What a lab can be, and what is refused."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.errors import InvalidInput
from kbootstrap.lab.spec import Hardware, LabSpec, Options, read, standard
from kbootstrap.model.cluster import Role


def test_the_default_lab_is_three_and_two_at_the_usual_addresses() -> None:
    spec = standard()
    assert {name: str(host.address) for name, host in spec.hosts.items()} == {
        "cp1": "198.18.0.11",
        "cp2": "198.18.0.12",
        "cp3": "198.18.0.13",
        "w1": "198.18.0.21",
        "w2": "198.18.0.22",
    }
    assert spec.hosts["w1"].roles == (Role.WORKER,)
    assert str(spec.vip) == "198.18.0.100"
    assert str(spec.control_machine) == "198.18.0.1"


@given(
    control_planes=st.integers(0, 10),
    workers=st.integers(0, 60),
    etcd=st.integers(0, 10),
    bare=st.integers(0, 154),
    third=st.integers(0, 255),
)
def test_every_lab_of_counts_has_distinct_addresses_of_its_subnet(
    control_planes: int, workers: int, etcd: int, bare: int, third: int
) -> None:
    if control_planes + workers + etcd + bare == 0:
        return
    subnet = IPv4Network(f"198.19.{third}.0/24")
    spec = standard(subnet=subnet, control_planes=control_planes, workers=workers, etcd=etcd, bare=bare)
    addresses = [host.address for host in spec.hosts.values()]
    assert len(set(addresses)) == control_planes + workers + etcd + bare
    assert all(address in subnet for address in addresses)
    assert not {spec.vip, spec.control_machine, subnet.broadcast_address} & set(addresses)


@pytest.mark.parametrize("counts", [{"control_planes": 11}, {"workers": 61}, {"bare": 155}, {"etcd": -1}])
def test_more_hosts_than_addresses_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="there is room for"):
        standard(**counts)  # type: ignore[arg-type]


def test_a_lab_without_hosts_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        standard(control_planes=0, workers=0)
    assert "needs a host" in refused.value.problems[0].message


def test_a_file_describes_hosts_with_what_is_special_about_them(tmp_path: Path) -> None:
    file = tmp_path / "lab.yml"
    file.write_text(
        "name: odd\nsubnet: 198.18.9.0/24\noptions: {login: admin, ssh_port: 2222}\n"
        "hosts:\n"
        "  gate: {address: 198.18.9.11}\n"
        "  far: {address: 198.18.9.12, roles: [worker], jump: gate, login: deploy, ssh_port: 22}\n"
    )
    spec = read(file)
    assert (spec.login("gate"), spec.ssh_port("gate")) == ("admin", 2222)
    assert (spec.login("far"), spec.ssh_port("far")) == ("deploy", 22)
    assert spec.hosts["far"].jump == "gate"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hosts: {a: {address: 198.18.1.11}}", "is not in 198.18.0.0/24"),
        ("hosts: {a: {address: 198.18.0.1}}", "kept for this machine"),
        ("hosts: {a: {address: 198.18.0.100}}", "kept for the VIP"),
        ("hosts: {a: {address: 198.18.0.7}, b: {address: 198.18.0.7}}", "used twice"),
        ("hosts: {a: {address: 198.18.0.7, jump: b}}", "jump host b"),
        ("hosts: {a: {address: 198.18.0.7, jump: a}}", "jump host a"),
        ("{subnet: 10.0.0.0/24, hosts: {a: {address: 10.0.0.7}}}", "must lie in 198.18.0.0/15"),
        ("{subnet: 198.18.0.0/28, hosts: {a: {address: 198.18.0.7}}}", "more than 100 addresses"),
        ("hosts: {_bridge: {address: 198.18.0.7}}", "pattern"),
        ("hosts: {a-name-of-16-chr: {address: 198.18.0.7}}", "pattern"),
        ("{name: far-too-long, hosts: {a: {address: 198.18.0.7}}}", "pattern"),
        ("hosts: {a: {address: 198.18.0.7, roles: [king]}}", "hosts.a.roles.0"),
        ("hosts: {a: {address: 198.18.0.7, port: 22}}", "hosts.a.port"),
        ("hosts: {a: {address: 198.18.0.7, vm: {memory: 64}}}", "hosts.a.vm.memory"),
        ("hosts: {}", "needs a host"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "lab.yml"
    file.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        read(file)
    assert complaint in " ".join(problem.message for problem in refused.value.problems)
    assert all(problem.file == str(file) for problem in refused.value.problems)


@pytest.mark.parametrize("text", ["a: [", "- a\n- b", ""])
def test_what_is_not_a_description_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "lab.yml"
    file.write_text(text)
    with pytest.raises(InvalidInput):
        read(file)


def test_a_missing_file_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path / "none.yml")


@pytest.mark.parametrize("vm", [["load-balancer"], ["lb1", "lb2"], ["lb2", "load-balancer"]])
def test_virtual_machines_are_named_by_host_or_by_role(vm: list[str]) -> None:
    spec = standard(load_balancers=2, vm=vm)
    assert {name for name, host in spec.hosts.items() if host.vm} == {"lb1", "lb2"}
    assert spec.hosts["lb1"].vm == Hardware(memory=512, cpus=1)


def test_a_virtual_machine_that_is_no_host_is_refused() -> None:
    with pytest.raises(InvalidInput, match="lb3: no host of this lab"):
        standard(load_balancers=2, vm=["lb1", "lb3"])


def test_a_file_says_how_large_a_virtual_machine_is(tmp_path: Path) -> None:
    file = tmp_path / "lab.yml"
    file.write_text("hosts:\n  big: {address: 198.18.0.11, vm: {memory: 3072, cpus: 2}}\n")
    assert read(file).hosts["big"].vm == Hardware(memory=3072, cpus=2)


def test_a_description_survives_being_remembered() -> None:
    spec = standard(options=Options(login="admin"), bare=2, vm=["bare1"])
    assert LabSpec.model_validate_json(spec.model_dump_json()) == spec
