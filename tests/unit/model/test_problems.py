"""Everything that can be wrong with an inventory: each time the place, what it is, and what to do."""

import os
import time
from pathlib import Path

import pytest

from tests.unit.model.worlds import GOOD, HEAD, HOSTS, Desk


def members(count: int) -> str:
    return "hosts:\n" + "".join(
        f"  cp{n}: {{address: 198.18.0.{n}, roles: [control-plane]}}\n" for n in range(1, count + 1)
    )


WRONG = [
    # what is written, the place, words of the message, words of the hint
    pytest.param(HOSTS, (1, 1), "apiVersion: it is missing", "", id="no-format"),
    pytest.param(GOOD.replace("v1", "v2", 1), (1, 13), "is not kbootstrap/v1", "kbootstrap/v1", id="format"),
    pytest.param(GOOD.replace("name: demo, ", ""), (2, 1), "cluster.name: it is missing", "", id="no-name"),
    pytest.param(GOOD.replace("demo", "Demo.1"), (2, 17), "no DNS label", "'demo'", id="cluster-name"),
    pytest.param(GOOD.replace("1.36.4", "1.36"), (2, 35), "no version", "", id="version"),
    pytest.param(GOOD.replace("1.36.4", "1.34.0"), (2, 35), "not known", "1.35, 1.36", id="unknown-version"),
    pytest.param(GOOD.replace("1.36.4", "[1]"), (2, 23), "text", "1.36.4", id="version-type"),
    pytest.param(HEAD + "hosts: {}\n", (3, 1), "at least 1", "", id="no-hosts"),
    pytest.param(HEAD + "hosts: []\n", (3, 1), "expected a mapping", "", id="hosts-type"),
    pytest.param(HEAD, (1, 1), "hosts: it is missing", "the machines", id="hosts-missing"),
    pytest.param(GOOD + "foo: 1\n", (9, 1), "foo: unknown key", "known here: apiVersion", id="unknown-key"),
    pytest.param(GOOD + "kubeproxy: {}\n", (9, 1), "unknown key", "mean 'kube_proxy'", id="key-typo"),
    pytest.param(GOOD + "endpoint: {}\n", (9, 1), "unknown key", "belongs at cluster.endpoint", id="key-elsewhere"),
    pytest.param(GOOD + "heartbeat_ms: 1\n", (9, 1), "unknown key", "belongs at etcd.heartbeat_ms", id="key-below"),
    pytest.param(GOOD + "ssh: {username: x}\n", (9, 7), "unknown key", "mean 'user'", id="synonym"),
    pytest.param(GOOD + "etcd: 5\n", (9, 7), "etcd: expected a mapping", "", id="section-type"),
    pytest.param(GOOD + "etcd: {heartbeat_ms: x}\n", (9, 22), "whole number, not 'x'", "", id="number"),
    pytest.param(GOOD + "etcd: {heartbeat_ms: }\n", (9, 22), "whole number, not nothing", "", id="nothing"),
    pytest.param(GOOD + "etcd: {heartbeat_ms: 1}\n", (9, 22), "at least 10", "", id="too-small"),
    pytest.param(GOOD + "timeouts: {scale: inf}\n", (9, 19), "finite", "", id="nan"),
    pytest.param(GOOD + "timeouts: {connect_seconds: 0}\n", (9, 29), "more than 0", "", id="zero"),
    pytest.param(GOOD + "etcd: {auto_compaction: 8 hours}\n", (9, 25), "no duration", "8h", id="duration"),
    pytest.param(GOOD + "etcd: {extra_args: {--v=2: 4}}\n", (9, 21), "no flag", "'v'", id="flag"),
    pytest.param(GOOD + "containerd: {restrict_oom_score_adj: maybe}\n", (9, 38), "true or false", "", id="bool"),
    pytest.param(GOOD + "network: {cni: flanel}\n", (9, 16), "flannel or none", "mean 'flannel'", id="choice"),
    pytest.param(GOOD + "network: {pods: 10.244.0.1/16}\n", (9, 17), "inside a range", "10.244.0.0/16", id="bits"),
    pytest.param(GOOD + "network: {pods: 10.244.0.0}\n", (9, 17), "no address range", "/16", id="no-size"),
    pytest.param(GOOD + "network: {pods: x/16}\n", (9, 17), "no IPv4 address range", "", id="no-range"),
    pytest.param(GOOD + "network: {domain: Cluster_Local}\n", (9, 19), "no domain name", "", id="domain"),
    pytest.param(GOOD.replace("{vip: 198.18.0.100}", "{mode: vip}"), (2, 43), "needs 'vip'", "", id="mode-vip"),
    pytest.param(GOOD.replace("{vip:", "{address: a, vip:"), (2, 43), "does not go with", "both", id="two-ways"),
    # hosts
    pytest.param(GOOD.replace("w1:", "W_1:"), (7, 3), "no DNS label", "'w-1'", id="host-name"),
    pytest.param(GOOD.replace("w1:", "w1.example.com:"), (7, 3), "no DNS label", "'w1'", id="host-domain"),
    pytest.param(GOOD.replace("w1:", f"{'w' * 64}:"), (7, 3), "at most 63", "", id="long-name"),
    pytest.param(GOOD.replace("w1:", "localhost:"), (7, 3), "every machine's own", "", id="localhost"),
    pytest.param(GOOD.replace("w2:", "w1:"), (8, 3), "second time", "line 7", id="duplicate-name"),
    pytest.param(GOOD.replace(".22", ".21"), (8, 17), "address of w1 already", "", id="duplicate-address"),
    pytest.param(GOOD.replace("198.18.0.22", "'fd00::1'"), (8, 17), "IPv6", "", id="ipv6"),
    pytest.param(GOOD.replace("198.18.0.22", "198.18.0.22/24"), (8, 17), "a range", "198.18.0.22", id="with-size"),
    pytest.param(GOOD.replace("198.18.0.22", "w2.example"), (8, 17), "no IPv4 address", "", id="name-as-address"),
    pytest.param(GOOD.replace("198.18.0.22", "127.0.0.1"), (8, 17), "loopback", "", id="loopback"),
    pytest.param(GOOD.replace("198.18.0.22", "224.0.0.1"), (8, 17), "multicast", "", id="multicast"),
    pytest.param(GOOD.replace("[worker]}\n  w2", "[wroker]}\n  w2"), (7, 38), "is not", "'worker'", id="role"),
    pytest.param(GOOD.replace("[worker]}\n  w2", "worker}\n  w2"), (7, 37), "a list", "[worker]", id="one-role"),
    pytest.param(GOOD.replace("[worker]}\n  w2", "[]}\n  w2"), (7, 3), "no role", "worker", id="no-role"),
    pytest.param(HEAD + "hosts: {w: {address: 198.18.0.9, roles: [worker]}}\n", (3, 1), "control-plane", "", id="cp"),
    pytest.param(HEAD + members(2), (3, 1), "even number of etcd members", "make it 1 or 3", id="two"),
    pytest.param(HEAD + members(4), (3, 1), "4 survive the loss of 1, just like 3", "cp1, cp2, cp3, cp4", id="four"),
    pytest.param(GOOD.replace(", roles: [worker]", ", roles: [etcd]"), (3, 1), "just like 1", "role etcd", id="apart"),
    # labels and taints
    pytest.param(GOOD + "groups: {all: {labels: {a b: c}}}\n", (9, 25), "no label key", "", id="label-key"),
    pytest.param(GOOD + "groups: {all: {labels: {X_/b: c}}}\n", (9, 25), "domain", "", id="label-prefix"),
    pytest.param(GOOD + "groups: {all: {labels: {a: b c}}}\n", (9, 28), "no label value", "", id="label-value"),
    pytest.param(GOOD + "groups: {all: {labels: {a: }}}\n", (9, 28), "text, not nothing", "leave", id="label-null"),
    pytest.param(
        GOOD + "groups: {all: {labels: {node-role.kubernetes.io/x: y}}}\n",
        (9, 25),
        "labels the roles itself",
        "your own",
        id="role-label",
    ),
    pytest.param(
        GOOD + "groups: {all: {labels: {kubernetes.io/x: y}}}\n", (9, 25), "kubelet may not", "", id="own-label"
    ),
    pytest.param(GOOD + "groups: {all: {taints: [a=b]}}\n", (9, 25), "no taint", "NoSchedule", id="taint"),
    pytest.param(GOOD + "groups: {all: {taints: [{key: a}]}}\n", (9, 25), "one text", "", id="taint-type"),
    # groups
    pytest.param(GOOD + "groups: {x: {hosts: [cp4]}}\n", (9, 22), "no host", "mean 'cp", id="group-host"),
    pytest.param(GOOD + "groups: {x: {hosts: ['q*']}}\n", (9, 22), "no host", "cp1", id="group-pattern"),
    pytest.param(GOOD + "groups: {all: {hosts: [w1]}}\n", (9, 16), "every host", "out", id="group-all"),
    # ssh
    pytest.param(GOOD + "ssh: {port: 65536}\n", (9, 13), "at most 65535", "", id="port"),
    pytest.param(GOOD + "ssh: {user: ''}\n", (9, 13), "must not be empty", "", id="user"),
    pytest.param(GOOD + "ssh: {host_keys: no}\n", (9, 18), "strict or accept-new", "", id="host-keys"),
    pytest.param(GOOD + "ssh: {jump: [a b]}\n", (9, 14), "no jump host", "[user@]host", id="jump"),
    pytest.param(GOOD + "ssh: {jump: 'a:99999'}\n", (9, 13), "no jump host", "", id="jump-port"),
    pytest.param(GOOD + "ssh: {identity_file: none}\n", (9, 22), "No such file", "relative", id="key"),
    pytest.param(GOOD + "ssh: {identity_file: .}\n", (9, 22), "is a folder", "", id="key-folder"),
    pytest.param(GOOD + "ssh: {identity_file: id.pub}\n", (9, 22), "public key", "private one: id", id="public-key"),
    pytest.param(GOOD + "ssh: {identity_file: \"a\\0b\"}\n", (9, 22), "null byte", "", id="null-byte"),
    pytest.param(GOOD + "ssh: {known_hosts: none}\n", (9, 20), "No such file", "", id="known-hosts"),
    pytest.param(GOOD + "ssh: {config_file: none}\n", (9, 20), "No such file", "", id="config"),
    pytest.param(GOOD + "ssh: {sudo_password: hunter2}\n", (9, 22), "does not belong", "{env: NAME}", id="password"),
    pytest.param(GOOD + "ssh: {sudo_password: {env: A, file: B}}\n", (9, 7), "one source", "", id="sources"),
    pytest.param(GOOD + "ssh: {sudo_password: {env: NOT_SET}}\n", (9, 28), "not set", "export", id="variable"),
    pytest.param(GOOD + "ssh: {sudo: none, sudo_password: prompt}\n", (9, 1), "needs no", "leave", id="unused"),
    # network
    pytest.param(GOOD + "network: {pods: 10.0.0.0/8}\n", (9, 1), "overlaps", "its own", id="pods-services"),
    pytest.param(GOOD + "network: {services: 10.244.9.0/24}\n", (9, 21), "overlaps", "its own", id="services-pods"),
    pytest.param(GOOD + "network: {pods: 127.0.0.0/16}\n", (9, 17), "loopback", "10.0.0.0/8", id="pods-loopback"),
    pytest.param(GOOD + "network: {services: 10.0.0.0/29}\n", (9, 21), "between /12 and /28", "tenth", id="tiny"),
    pytest.param(GOOD + "network: {services: 11.0.0.0/8}\n", (9, 21), "between /12 and /28", "", id="vast"),
    pytest.param(GOOD + "network: {pods: 10.244.0.0/25}\n", (9, 1), "larger than that of all", "25", id="node-range"),
    pytest.param(GOOD + "network: {pods: 10.244.0.0/22}\n", (9, 17), "4 node ranges", "node_prefix", id="few-ranges"),
    pytest.param(GOOD + "network: {pods: 16.0.0.0/7}\n", (9, 1), "cannot be cut", "/23", id="many-ranges"),
    pytest.param(GOOD + "network: {node_ports: a-b}\n", (9, 23), "does not match", "", id="ports-text"),
    pytest.param(GOOD + "network: {node_ports: 9-5}\n", (9, 23), "no range of ports", "30000", id="ports-order"),
    pytest.param(GOOD + "network: {node_ports: 2380-2400}\n", (9, 23), "the port of etcd", "", id="ports-taken"),
    pytest.param(GOOD.replace("0.21", "5.2") + "network: {hosts: [198.18.0.0/24]}\n", (7, 17), "outside", "", id="o"),
    pytest.param(GOOD + "network: {hosts: [198.18.0.0/16, 10.96.1.0/24]}\n", (9, 34), "overlaps", "", id="subnet"),
    pytest.param(GOOD.replace("0.100", "0.11"), (2, 59), "the address of cp1", "of its own", id="vip-taken"),
    pytest.param(GOOD.replace("198.18.0.100", "198.81.0.100"), (2, 59), "not in the subnet", "network.hosts", id="far"),
    pytest.param(GOOD.replace("198.18.0.100", "10.96.0.5"), (2, 59), "lies in network.services", "", id="vip-service"),
    pytest.param(GOOD.replace("198.18.0.100", "255.255.255.255"), (2, 59), "reserved", "", id="vip-broadcast"),
    # settings
    pytest.param(GOOD + "etcd: {election_ms: 400}\n", (9, 21), "5 heartbeats", "at least 500", id="election"),
    pytest.param(GOOD + "certificates: {days: 30}\n", (9, 1), "renewed at once", "less than 30", id="renewal"),
    pytest.param(GOOD + "certificates: {days: 4000}\n", (9, 22), "outlive", "", id="lifetime"),
    pytest.param(GOOD + "containerd: {registries: {r: {username: u}}}\n", (9, 27), "needs both", "", id="registry"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message", "hint"), WRONG)
def test_one_thing_wrong(desk: Desk, text: str, place: tuple[int, int], message: str, hint: str) -> None:
    found = desk.problems(text)
    problem = found[0]
    assert message in problem.message
    assert (problem.line, problem.column) == place
    assert hint in (problem.hint or "")
    assert problem.file == str(desk.file)


def test_the_good_one_is_good(desk: Desk) -> None:
    desk.load(GOOD)


def test_everything_is_said_at_once(desk: Desk) -> None:
    text = (
        HEAD.replace("1.36.4", "1.0.0")
        + "etcd: {election_ms: 1, heartbeat_ms: 100}\nfoo: 1\nnetwork: {pods: 198.18.0.0/24}\n"
        + HOSTS.replace("[worker]}\n  w2", "[wroker]}\n  w2").replace(".12,", ".11,")
    )
    found = [(problem.line, problem.message.split(":")[0]) for problem in desk.problems(text)]
    assert found == [
        (2, "cluster.kubernetes"),
        (2, "cluster.endpoint.vip"),
        (3, "etcd.election_ms"),
        (4, "foo"),
        (5, "network.pods"),
        (7, "hosts.cp1.address"),
        (8, "hosts.cp2.address"),
        (8, "hosts.cp2.address"),
        (9, "hosts.cp3.address"),
        (10, "hosts.w1.roles.0"),
        (11, "hosts.w2.address"),
    ]


def test_what_is_malformed_makes_no_false_alarms(desk: Desk) -> None:
    # With cp2 unreadable there would be two control-plane hosts left, and the group's member would be missing.
    text = GOOD.replace("address: 198.18.0.12", "address: x") + "groups: {g: {hosts: [cp2]}}\n"
    assert [problem.message.split(":")[0] for problem in desk.problems(text)] == ["hosts.cp2.address"]


def test_a_misspelt_key_is_not_missing_too(desk: Desk) -> None:
    problem = desk.problem(GOOD.replace("w1: {address", "w1: {adress"))
    assert problem.message == "hosts.w1.adress: unknown key"
    assert problem.hint == "did you mean 'address'?"


def test_a_password_in_the_file_is_not_repeated(desk: Desk) -> None:
    for text in (
        GOOD + "ssh: {sudo_password: hunter2}\n",
        GOOD + "ssh: {password: hunter2}\n",
        GOOD + "ssh: {password: [hunter2]}\n",
        GOOD + "containerd: {registries: {r: {password: hunter2, foo: 1}}}\n",
        GOOD + "containerd: {registries: {r: {username: u, password_file: {x: hunter2}}}}\n",
    ):
        for problem in desk.problems(text):
            assert "hunter2" not in f"{problem.message} {problem.hint} {problem.excerpt}"


def test_circular_jumps(desk: Desk) -> None:
    text = GOOD.replace("11, roles: [control-plane]", "11, roles: [control-plane], ssh: {jump: w1}").replace(
        "21, roles: [worker]", "21, roles: [worker], ssh: {jump: cp1}"
    )
    assert "circle" in desk.problem(text).message


def test_two_hosts_behind_one_login(desk: Desk) -> None:
    text = GOOD.replace("21, roles", "21, ssh_address: gate, roles").replace(
        "22, roles", "22, ssh_address: gate, roles"
    )
    assert "SSH finds w1 at gate port 22 already" in desk.problem(text).message
    desk.load(
        text.replace(
            "ssh_address: gate, roles: [worker]}\n", "ssh_address: gate, ssh: {port: 23}, roles: [worker]}\n", 1
        )
    )


def test_secret_files_are_private(desk: Desk) -> None:
    for name in ("sudo", "registry", "key"):
        (desk.folder / name).touch(mode=0o644)
        os.chmod(desk.folder / name, 0o644)  # noqa: PTH101 - the umask may have been strict
    text = (
        GOOD + "ssh: {user: a, identity_file: key, sudo_password: {file: sudo}}\n"
        "containerd: {registries: {r: {username: u, password_file: registry}}}\n"
    )
    found = desk.problems(text)
    assert [problem.hint for problem in found] == [f"chmod 600 {desk.folder / name}" for name in ("sudo", "registry")]
    assert "can be read by others" in desk.notes[0].text


def test_files_of_this_machine_can_be_left_aside(desk: Desk) -> None:
    text = GOOD + "ssh: {identity_file: none, known_hosts: none, sudo_password: {env: NOT_SET}}\n"
    desk.problems(text)
    desk.load(text, local=False)


def test_known_hosts_may_still_have_to_be_made(desk: Desk) -> None:
    desk.load(GOOD + "ssh: {known_hosts: none, host_keys: accept-new}\n")


def test_any_version_without_a_catalogue(desk: Desk) -> None:
    desk.load(GOOD.replace("1.36.4", "9.9.9"), known=None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("198.18.0.100", "198.18.7.100"), "may not be in the subnet"),
        (GOOD.replace("endpoint: {vip: 198.18.0.100}", "endpoint: {}") + "keepalived: {router_id: 7}\n", "keepalived"),
        (GOOD + "network: {cni: none}\nflannel: {port: 8473}\n", "network.cni is none"),
        (GOOD + "network: {node_prefix: 26}\n", "62 addresses for 110 pods"),
        (GOOD + "etcd: {quota_bytes: 9000000000}\n", "slow"),
        (GOOD + "groups: {empty: {}}\n", "no hosts"),
        (GOOD + "  e1: {address: 198.18.0.81, roles: [etcd], labels: {a: b}}\n", "no effect"),
        (HEAD + members(9), "9 etcd members are many"),
    ],
)  # fmt: skip
def test_what_is_unwise_is_allowed(desk: Desk, text: str, words: str) -> None:
    warning = desk.warning(text)
    assert words in warning
    assert warning.startswith(f"{desk.file}:")


@pytest.mark.parametrize(
    "extra",
    [
        "network: {hosts: [198.18.0.0/24]}",
        "network: {node_prefix: 26}\nkubelet: {config: {maxPods: 30}}",
        "network: {pods: 10.244.0.0/21}",
        "network: {services: 10.97.0.0/28}",
        "network: {services: 172.16.0.0/12, pods: 10.0.0.0/8}",
        "groups: {all: {labels: {topology.kubernetes.io/zone: a, node.kubernetes.io/x: b, gpu: true}}}",
        "groups: {all: {taints: ['a:NoExecute', 'example.com/a=b:PreferNoSchedule']}}",
        "containerd: {registries: {'r.example:5000': {mirrors: ['https://m.example'], insecure: true}}}",
    ],
)
def test_what_only_looks_wrong(desk: Desk, extra: str) -> None:
    desk.load(f"{GOOD}{extra}\n")
    assert desk.notes == []


def test_a_vip_of_another_subnet_can_be_vouched_for(desk: Desk) -> None:
    text = GOOD.replace("198.18.0.100", "10.1.0.100")
    desk.problems(text)
    desk.load(text + "network: {hosts: [198.18.0.0/24, 10.1.0.0/24]}\n")
    assert desk.notes == []


def test_a_thousand_hosts_are_read_soon(desk: Desk) -> None:
    names = [f"w{n}" for n in range(1000)]
    hosts = "".join(
        f"  {name}: {{address: 198.18.{n // 250 + 1}.{n % 250 + 1}, roles: [worker]}}\n" for n, name in enumerate(names)
    )
    text = GOOD + hosts.replace("  w1:", "  w1000:").replace("  w2:", "  w1001:")
    text += f"network: {{pods: 10.240.0.0/12}}\ngroups: {{g: {{hosts: [{', '.join(names[3:])}]}}}}\n"
    began = time.monotonic()
    assert len(desk.load(text).hosts) == 1005
    assert time.monotonic() - began < 3


def test_relative_files_are_looked_up_beside_the_inventory(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.folder / "id").touch(mode=0o600)
    monkeypatch.chdir(Path("/"))
    desk.load(GOOD + "ssh: {identity_file: id}\n")
