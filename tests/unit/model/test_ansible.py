"""Ansible's inventories become ours."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbootstrap.errors import InvalidInput
from kbootstrap.model.ansible.ini import expand
from kbootstrap.model.ansible.read import ImportedText, import_ansible
from kbootstrap.model.ansible.ssh_options import read_ssh_options
from kbootstrap.model.load import load_inventory

KUBESPRAY = """\
[all]
node1 ansible_host=203.0.113.1 ip=10.0.0.1 etcd_member_name=etcd1
node2 ansible_host=203.0.113.2 ip=10.0.0.2  # the second
node3 ansible_host=203.0.113.3 ip=10.0.0.3
w[01:02] ansible_port=2222

[all:vars]
ansible_user=ubuntu
ansible_become=true
kube_version=v1.36.2
kube_pods_subnet=10.233.64.0/18
kube_vip_address=10.0.0.100

[kube_control_plane]
node[1:3]
[etcd:children]
kube_control_plane
[kube_node]
w01 ansible_host=10.0.0.21
w02 ansible_host=10.0.0.22
[k8s_cluster:children]
kube_control_plane
kube_node
"""

KUBEADM = """\
all:
  vars:
    ansible_user: root
    ansible_ssh_private_key_file: ~/.ssh/cluster
  children:
    masters:
      hosts:
        cp.example.com: {ansible_host: 10.0.0.1}
    workers:
      hosts:
        w[1:2].example.com: {ansible_ssh_common_args: "-J admin@bastion:2200 -o StrictHostKeyChecking=no"}
      vars: {node_labels: {gpu: true}, node_taints: ["a=b:NoSchedule"]}
    databases: {hosts: {db1: }}
"""


def imported(folder: Path, text: str, name: str = "hosts.ini") -> ImportedText:
    path = folder / name
    path.write_text(text)
    return import_ansible(path, name="demo", kubernetes="1.36.4")


def test_kubespray(tmp_path: Path) -> None:
    result = imported(tmp_path, KUBESPRAY)
    assert yaml.safe_load(result.text) == {
        "apiVersion": "kbootstrap/v1",
        "cluster": {"name": "demo", "kubernetes": "1.36.2", "endpoint": {"vip": "10.0.0.100"}},
        "ssh": {"user": "ubuntu"},
        "network": {"pods": "10.233.64.0/18"},
        "hosts": {
            **{
                f"node{n}": {"address": f"10.0.0.{n}", "ssh_address": f"203.0.113.{n}", "roles": ["control-plane"]}
                for n in (1, 2, 3)
            },
            **{f"w0{n}": {"address": f"10.0.0.2{n}", "roles": ["worker"], "ssh": {"port": 2222}} for n in (1, 2)},
        },
    }
    assert result.notes == ()
    path = tmp_path / "inventory.yml"
    path.write_text(result.text)
    cluster = load_inventory(path, environ={})
    assert len(cluster.etcd_members) == 3


def test_yaml(tmp_path: Path) -> None:
    result = imported(tmp_path, KUBEADM, "hosts.yml")
    value = yaml.safe_load(result.text)
    assert value["ssh"] == {"user": "root", "identity_file": "~/.ssh/cluster"}
    assert value["hosts"]["cp"] == {"address": "10.0.0.1", "roles": ["control-plane"]}
    assert value["hosts"]["w2"] == {
        "ssh_address": "w2.example.com",
        "labels": {"gpu": "true"},
        "taints": ["a=b:NoSchedule"],
        "roles": ["worker"],
        "ssh": {"jump": ["admin@bastion:2200"], "host_keys": "accept-new"},
    }
    notes = "\n".join(result.notes)
    assert "cp.example.com is called cp here" in notes
    assert "w1 has no IPv4 address" in notes
    assert "db1 is in no group" in notes


def test_a_yaml_file_may_have_any_name(tmp_path: Path) -> None:
    assert imported(tmp_path, f"# hosts\n---\n{KUBEADM}", "hosts").text == imported(
        tmp_path, KUBEADM, "hosts.yml"
    ).text.replace("hosts.yml", "hosts")


def test_passwords_stay_behind(tmp_path: Path) -> None:
    text = (
        "[masters]\na ansible_host=10.0.0.1 ansible_user=x ansible_password=hunter2 ansible_become_pass='hunter2 x'\n"
        "[masters:vars]\nansible_ssh_pass=hunter2\nmy_secret=hunter2\nother={{ hunter2 }}\n"
    )
    result = imported(tmp_path, text)
    everything = result.text + "\n".join(result.notes)
    assert "hunter2" not in everything
    for name in ("ansible_password", "ansible_ssh_pass", "ansible_become_pass", "my_secret", "other"):
        assert name in everything
    assert yaml.safe_load(result.text)["ssh"] == {"user": "x", "sudo_password": "prompt"}


def test_a_vault_is_not_opened(tmp_path: Path) -> None:
    text = "all: {children: {masters: {hosts: {a: {ansible_host: 10.0.0.1, ansible_become_password: !vault 'xyz'}}}}}\n"
    result = imported(tmp_path, text, "hosts.yaml")
    assert "xyz" not in result.text + "\n".join(result.notes)


def test_inner_groups_win_and_hosts_over_them(tmp_path: Path) -> None:
    text = (
        "[masters]\na ansible_host=10.0.0.1\nb ansible_host=10.0.0.2 ansible_port=3\n[masters:vars]\nansible_port=2\n"
        "[outer:children]\nmasters\n[outer:vars]\nansible_port=1\nansible_user=deep\n[all:vars]\nansible_user=shallow\n"
    )
    value = yaml.safe_load(imported(tmp_path, text).text)
    assert value["ssh"] == {"user": "deep"}
    assert [host["ssh"]["port"] for host in value["hosts"].values()] == [2, 3]


def test_variable_folders_are_mentioned(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    assert any("group_vars was not read" in note for note in imported(tmp_path, KUBESPRAY).notes)


def test_other_ways_to_become_root_are_mentioned(tmp_path: Path) -> None:
    text = "[masters]\na ansible_host=10.0.0.1 ansible_user=x ansible_become=no ansible_become_method=doas\n"
    notes = "\n".join(imported(tmp_path, text).notes)
    assert "ansible_become is off for x" in notes
    assert "doas is not supported" in notes


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a", ["a"]),
        ("w[1:3]", ["w1", "w2", "w3"]),
        ("w[08:10].x", ["w08.x", "w09.x", "w10.x"]),
        ("w[1:5:2]", ["w1", "w3", "w5"]),
        ("r[a:b]n[1:2]", ["ran1", "ran2", "rbn1", "rbn2"]),
    ],
)
def test_ranges(pattern: str, names: list[str]) -> None:
    assert list(expand(pattern)) == names


@pytest.mark.parametrize(
    ("arguments", "entry"),
    [
        ("-J u@h:22,i", {"jump": ["u@h:22", "i"]}),
        ("-o ProxyJump=h", {"jump": ["h"]}),
        ("-oProxyJump=h", {"jump": ["h"]}),
        ("-o 'ProxyJump h'", {"jump": ["h"]}),
        ("-o ProxyCommand='ssh -W %h:%p -q u@h'", {"jump": ["u@h"]}),
        ("-o ProxyCommand='ssh -i k -p 2200 -l u h -W %h:%p'", {"jump": ["u@h:2200"]}),
        ("-o ProxyCommand='nc %h %p'", {}),
        ('-o ProxyCommand="ssh -W \'"', {}),
        ("-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null", {"host_keys": "accept-new"}),
        ("-o UserKnownHostsFile=~/known", {"known_hosts": "~/known"}),
        ("-F cfg -i key -p 2", {"config_file": "cfg", "identity_file": "key", "port": "2"}),
        ("-C -q 'unclosed", {}),
        ("", {}),
    ],
)
def test_ssh_arguments(arguments: str, entry: dict[str, object]) -> None:
    assert read_ssh_options(arguments).entry == entry


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[masters]\na b=c d\n", 2),
        ("[masters]\na 'b=c\n", 2),
        ("[masters]\na[1:]\n", 2),
        ("[masters]\na[5:1]\n", 2),
        ("[masters]\na[1:99999999]\n", 2),
        ("[masters]\na[1:9:0]\n", 2),
        ("[masters:vars]\nx\n", 2),
        ("[a:unknown]\nx\n", 1),
    ],
)
def test_what_is_no_ini_inventory(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        imported(tmp_path, text)
    assert [problem.line for problem in caught.value.problems] == [line]


@pytest.mark.parametrize(
    "text",
    [
        "all: 5\n",
        "all: {hosts: [a]}\n",
        "all: {host: {}}\n",
        "all: {children: {masters: x}}\n",
        "- a:\n",
        "all: {hosts: {'a[': }}",
    ],
)
def test_what_is_no_yaml_inventory(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        imported(tmp_path, text, "hosts.yml")
    assert caught.value.problems[0].line is not None


def test_no_known_group(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="role") as caught:
        imported(tmp_path, "[web]\na\n")
    assert "kube_control_plane" in (caught.value.hint or "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.sampled_from(["[masters]", "[x:children]", "[masters:vars]", "masters", "x"])
        | st.text(alphabet="ab[]:=01'\"#{} -._", max_size=20)
        | st.text(max_size=10),
        max_size=8,
    ),
    st.sampled_from(["hosts.ini", "hosts.yml"]),
)
def test_any_text(tmp_path: Path, lines: list[str], name: str) -> None:
    path = tmp_path / name
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    try:
        result = import_ansible(path, name="demo", kubernetes="1.36.4")
    except InvalidInput:
        return
    assert yaml.safe_load(result.text)["hosts"]
