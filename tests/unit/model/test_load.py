"""What an inventory means."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kbootstrap.model.cluster import HostKeys, PasswordKind, PasswordSource, Role, Ssh, Sudo, Taint
from tests.unit.model.worlds import GOOD, HEAD, HOSTS, Desk


def test_the_usual_inventory(desk: Desk) -> None:
    cluster = desk.load(GOOD)
    assert (cluster.name, str(cluster.kubernetes)) == ("demo", "1.36.4")
    assert [host.name for host in cluster.hosts] == ["cp1", "cp2", "cp3", "w1", "w2"]
    assert cluster.settings.endpoint.mode == "vip"
    assert cluster.endpoint_host == "198.18.0.100"
    assert [host.name for host in cluster.etcd_members] == ["cp1", "cp2", "cp3"]
    assert cluster.host("w1").roles == {Role.WORKER}
    assert cluster.host("w1").ssh == Ssh()
    assert desk.notes == []


@pytest.mark.parametrize(
    ("endpoint", "mode"),
    [
        ("{vip: 198.18.0.100}", "vip"),
        ("{mode: vip, vip: 198.18.0.100}", "vip"),
        ("{address: lb.example.com}", "external"),
        ("{}", "local"),
        ("", "local"),
        ("{port: 8443}", "local"),
    ],
)
def test_the_endpoint_says_its_mode(desk: Desk, endpoint: str, mode: str) -> None:
    assert desk.load(GOOD.replace("{vip: 198.18.0.100}", endpoint)).settings.endpoint.mode == mode


def test_etcd_on_hosts_of_its_own(desk: Desk) -> None:
    text = GOOD + "".join(f"  e{n}: {{address: 198.18.0.8{n}, roles: [etcd]}}\n" for n in range(1, 4))
    cluster = desk.load(text)
    assert [host.name for host in cluster.etcd_members] == ["e1", "e2", "e3"]
    assert not cluster.host("e1").is_node


def test_one_machine_can_be_everything(desk: Desk) -> None:
    text = "apiVersion: kbootstrap/v1\ncluster: {name: one, kubernetes: v1.36.0}\n"
    host = desk.load(text + "hosts: {all-in-one: {address: 10.0.0.1, roles: [control-plane, worker]}}").hosts[0]
    assert host.is_control_plane
    assert host.is_worker
    assert host.is_etcd


def test_empty_sections_are_all_defaults(desk: Desk) -> None:
    cluster = desk.load(GOOD + "etcd:\nnetwork:\n  # pods: 10.0.0.0/8\nssh:\ngroups: {}\n")
    assert cluster.settings == desk.load(GOOD).settings


def test_settings_keep_their_text_and_free_form_its_types(desk: Desk) -> None:
    text = GOOD + (
        "kubelet: {config: {maxPods: 50, failCgroupV1: false, tlsMinVersion: 'no', list: [1, x]}}\n"
        "kube_apiserver: {extra_args: {v: 4, profiling: false, goaway-chance: 0.10}}\n"
        "host: {sysctls: {vm.max_map_count: 1_0}}\n"
    )
    settings = desk.load(text).settings
    expected = {"maxPods": 50, "failCgroupV1": False, "tlsMinVersion": "no", "list": [1, "x"]}
    assert settings.kubelet.config == expected
    assert settings.kube_apiserver.extra_args == {"v": "4", "profiling": "false", "goaway-chance": "0.10"}
    assert settings.host.sysctls == {"vm.max_map_count": "1_0"}


GROUPS = """\
ssh: {user: admin, port: 22}
groups:
  all: {labels: {a: all, b: all, c: all}, ssh: {port: 2201}, vars: {rack: 1, deep: {x: true}}}
  odd: {hosts: [w1, cp?], labels: {b: odd, c: odd}, roles: [worker], taints: ["t=odd:NoExecute"]}
  workers: {hosts: ["w*"], labels: {c: workers}, ssh: {port: 2202}, taints: ["t=workers:NoExecute"], vars: {rack: 2}}
"""


def test_the_more_special_wins(desk: Desk) -> None:
    text = HEAD + GROUPS + HOSTS.replace("22, roles: [worker]", "22, roles: [worker], ssh: {port: 2203}")
    cluster = desk.load(text)
    w1, w2, cp1 = (cluster.host(name) for name in ("w1", "w2", "cp1"))
    assert w1.labels == {"a": "all", "b": "odd", "c": "workers"}
    assert w2.labels == {"a": "all", "b": "all", "c": "workers"}
    assert cp1.labels == {"a": "all", "b": "odd", "c": "odd"}
    assert [host.ssh.port for host in (cp1, w1, w2)] == [2201, 2202, 2203]
    assert {host.ssh.user for host in cluster.hosts} == {"admin"}
    assert cp1.roles == {Role.CONTROL_PLANE, Role.WORKER, Role.ETCD}
    assert w1.taints == (Taint("t", "workers", "NoExecute"),)
    assert (w1.variables, cp1.variables) == ({"rack": 2, "deep": {"x": True}}, {"rack": 1, "deep": {"x": True}})


def test_roles_may_come_from_groups_alone(desk: Desk) -> None:
    text = HEAD + (
        "groups: {cp: {hosts: [a], roles: [control-plane]}}\nhosts: {a: {address: 198.18.0.1}, "
        "b: {address: 198.18.0.2, roles: [worker]}}"
    )
    assert desk.load(text).host("a").is_control_plane


@pytest.mark.parametrize(
    ("ssh", "sudo", "source"),
    [
        ("{}", Sudo.NONE, None),
        ("{user: root}", Sudo.NONE, None),
        ("{user: admin}", Sudo.NOPASSWD, None),
        ("{user: admin, sudo: none}", Sudo.NONE, None),
        ("{user: admin, sudo: password}", Sudo.PASSWORD, PasswordSource()),
        ("{user: admin, sudo_password: prompt}", Sudo.PASSWORD, PasswordSource()),
        ("{sudo_password: {env: HOME}}", Sudo.PASSWORD, PasswordSource(PasswordKind.ENVIRONMENT, "HOME")),
    ],
)
def test_sudo(desk: Desk, ssh: str, sudo: Sudo, source: PasswordSource | None) -> None:
    login = desk.load(f"{HEAD}ssh: {ssh}\n{HOSTS}").host("w1").ssh
    assert (login.sudo, login.sudo_password) == (sudo, source)


def test_a_host_can_take_back_the_password(desk: Desk) -> None:
    text = (
        HEAD
        + "ssh: {user: admin, sudo_password: prompt}\n"
        + HOSTS.replace("22, roles: [worker]", "22, roles: [worker], ssh: {sudo: nopasswd}")
    )
    cluster = desk.load(text)
    assert cluster.host("w1").ssh.sudo is Sudo.PASSWORD
    assert (cluster.host("w2").ssh.sudo, cluster.host("w2").ssh.sudo_password) == (Sudo.NOPASSWD, None)


def test_a_password_source_replaces_an_outer_sudo(desk: Desk) -> None:
    text = (
        HEAD
        + "ssh: {user: admin, sudo: nopasswd}\n"
        + HOSTS.replace("22, roles: [worker]", "22, roles: [worker], ssh: {sudo_password: prompt}")
    )
    assert desk.load(text).host("w2").ssh.sudo is Sudo.PASSWORD


def test_paths_are_relative_to_the_inventory_and_know_home(desk: Desk) -> None:
    files = ("home/.ssh/id", "keys/known", "keys/config", "ca.pem", "pass")
    for name in files:
        path = desk.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    text = GOOD + (
        "ssh: {identity_file: ~/.ssh/id, known_hosts: keys/known, config_file: ./keys/config, host_keys: accept-new}\n"
        "containerd: {registries: {r.example: {ca_file: ca.pem, username: u, password_file: pass}}}\n"
    )
    cluster = desk.load(text)
    ssh = cluster.hosts[0].ssh
    assert (ssh.identity_file, ssh.known_hosts, ssh.config_file) == tuple(desk.folder / name for name in files[:3])
    assert ssh.host_keys is HostKeys.ACCEPT_NEW
    registry = cluster.settings.containerd.registries["r.example"]
    assert (registry.ca_file, registry.password_file) == (desk.folder / "ca.pem", desk.folder / "pass")


def test_absolute_paths_stay(desk: Desk, tmp_path: Path) -> None:
    key = tmp_path / "elsewhere"
    key.touch(mode=0o600)
    assert desk.load(f"{GOOD}ssh: {{identity_file: {key}}}\n").hosts[0].ssh.identity_file == key


@pytest.mark.parametrize(
    ("jump", "hops"),
    [
        ("bastion.example.com", ("bastion.example.com",)),
        ("[u@outer:2222, inner]", ("u@outer:2222", "inner")),
        ("u@outer:2222, inner", ("u@outer:2222", "inner")),
        ("[cp1]", ("root@198.18.0.11:22",)),
    ],
)
def test_jump_hosts(desk: Desk, jump: str, hops: tuple[str, ...]) -> None:
    cluster = desk.load(f"{HEAD}ssh:\n  jump: {jump}\n{HOSTS}")
    assert cluster.host("w1").ssh.jump == hops


def test_the_way_in_is_not_reached_through_itself(desk: Desk) -> None:
    cluster = desk.load(f"{HEAD}ssh: {{jump: [outer, cp1]}}\n{HOSTS}")
    assert cluster.host("cp1").ssh.jump == ("outer",)
    assert cluster.host("cp2").ssh.jump == ("outer", "root@198.18.0.11:22")


def test_a_jump_host_brings_its_own_way_and_login(desk: Desk) -> None:
    text = HEAD + HOSTS.replace(
        "13, roles: [control-plane]",
        "13, roles: [control-plane], ssh: {jump: outer, user: gate, port: 2222}, ssh_address: gate.example.com",
    ).replace("21, roles: [worker]", "21, roles: [worker], ssh: {jump: cp3}")
    assert desk.load(text).host("w1").ssh.jump == ("outer", "gate@gate.example.com:2222")


def test_merge_keys_and_aliases(desk: Desk) -> None:
    text = HEAD + (
        "hosts:\n  a: &a {address: 198.18.0.1, roles: &r [control-plane], labels: {x: y}}\n"
        "  b: {<<: *a, address: 198.18.0.2}\n  c: {address: 198.18.0.3, roles: *r}\n"
    )
    cluster = desk.load(text)
    assert cluster.host("b").labels == {"x": "y"}
    assert cluster.host("b").address == IPv4Address("198.18.0.2")
    assert len(cluster.control_planes) == 3
