"""The suites of a host pass on a recorded healthy host, and each of their tests fails when what it guards is broken."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from kbootstrap.verify.catalogue import host_suites
from kbootstrap.verify.report import Verdict
from tests.unit.verify.world import (
    Answer,
    failed_tests,
    functions,
    outcomes_of,
    recorded,
    recorded_cluster,
    recorded_host,
)

HOST = "cp1"
PKI = "/etc/kubernetes/pki"
RECORDED_AT = datetime.fromisoformat(recorded("meta")["recorded"])


def answer_of(pattern: str) -> str:
    """What was recorded for the one command that the pattern is found in."""
    found = [said[1] for asked, said in recorded("hosts")[HOST].items() if re.search(pattern, asked)]
    assert len(found) == 1, found
    return str(found[0])


SHOW = "^systemctl show --property=Id,.* etcd"
SS = answer_of("^ss ")
PRIVATE = answer_of("^stat .*/etc/kubernetes")
FOLDERS = answer_of("^stat .*/var/lib/etcd")
OTHER_CA = answer_of("cat .*/etcd/ca.crt")
ETCD_SERVER = answer_of("cat .*/etcd/server.crt")
SCHEDULER_CONF = answer_of("grep .*/scheduler.conf")
READYZ = answer_of("readyz.verbose")
CMDLINE = answer_of("/cmdline")
INFO = answer_of("crictl .*info")


def shown_units(changed: str, old: str, new: str) -> str:
    """The recorded units, one of them changed."""
    blocks = answer_of(SHOW).split("\n\n")
    return "\n\n".join(block.replace(old, new) if f"Id={changed}." in block else block for block in blocks)


def without_network() -> str:
    """What crictl says while there is no CNI configuration."""
    info = json.loads(INFO)
    for condition in info["status"]["conditions"]:
        if condition["type"] == "NetworkReady":
            condition |= {"status": False, "message": "cni plugin not initialized"}
    return json.dumps(info)


@dataclass(frozen=True)
class Broken:
    """A fault on the host, and exactly the tests that must notice."""

    suite: str
    answer: Answer
    fails: frozenset[str]

    def __str__(self) -> str:
        return f"{self.suite}: {'; '.join(sorted(self.fails))}"


def broken(suite: str, pattern: str, *fails: str, stdout: str = "", exit_code: int = 0, stderr: str = "") -> Broken:
    return Broken(suite, Answer(pattern, stdout, exit_code, stderr), frozenset(fails))


FAULTS = [
    broken("system", "^dpkg-query .*keepalived", "test_package[keepalived]", exit_code=1),
    broken("system", "ip_forward", "test_sysctl[net.ipv4.ip_forward]", stdout="0\n"),
    broken("system", "nf_conntrack_count", "test_tracked_connections", stdout="4094\n4096\n"),
    broken("system", "/proc/swaps", "test_swap", stdout="/dev/sda2 partition 1048572 0 -2\n"),
    broken("system", "getent", "test_names", stdout="198.18.8.99 STREAM w1\n127.0.1.1 STREAM cp1\n"),
    broken(
        "files",
        "^stat .*/etc/kubernetes",
        "test_secret[/etc/kubernetes/pki/ca.key]",
        stdout=PRIVATE.replace("/etc/kubernetes/pki/ca.key root 600", "/etc/kubernetes/pki/ca.key root 644"),
    ),
    broken(
        "files",
        "^stat .*/etc/kubernetes",
        "test_secret[/etc/kubernetes/pki/etcd/peer.key]",
        stdout=PRIVATE.replace("/etc/kubernetes/pki/etcd/peer.key etcd 600\n", ""),
    ),
    broken(
        "files",
        "^stat .*/var/lib/etcd",
        "test_folder[/var/lib/etcd]",
        stdout=FOLDERS.replace("/var/lib/etcd etcd 700", "/var/lib/etcd etcd 755"),
    ),
    broken("files", "PRIVATE KEY", "test_no_world_readable_key", stdout="/tmp/admin.conf\n"),
    broken("files", "-perm /g=w", "test_only_root_changes_configuration", stdout="/etc/kubernetes/x.yaml\n"),
    broken("binaries", "readlink .*kubelet", "test_version[kubelet]", stdout="1.35.8\n"),
    broken(
        "binaries",
        "cd /opt/kbootstrap/etcd/",
        "test_content[etcd]",
        exit_code=1,
        stdout="etcd: FAILED\n",
        stderr="sha256sum: WARNING: 1 computed checksum did NOT match\n",
    ),
    broken(
        "certificates",
        "cat .*/etcd/server.crt",
        "test_certificate[/etc/kubernetes/pki/etcd/server.crt]",
        stdout=OTHER_CA,
    ),
    broken(
        "certificates",
        "cat .*pki/apiserver.crt",
        "test_certificate[/etc/kubernetes/pki/apiserver.crt]",
        stdout=ETCD_SERVER,
    ),
    broken(
        "certificates",
        "cat .*front-proxy-client.crt",
        "test_certificate[/etc/kubernetes/pki/front-proxy-client.crt]",
        exit_code=1,
        stderr="cat: No such file or directory\n",
    ),
    broken("certificates", "grep .*admin.conf", "test_kubeconfig[/etc/kubernetes/admin.conf]", stdout=SCHEDULER_CONF),
    broken(
        "certificates", "grep .*kubelet.conf", "test_kubeconfig[/etc/kubernetes/kubelet.conf]", stdout="", exit_code=1
    ),
    broken(
        "certificates",
        "cat .*/pki/front-proxy-ca.crt",
        "test_authority[/etc/kubernetes/pki/front-proxy-ca.crt]",
        "test_certificate[/etc/kubernetes/pki/front-proxy-client.crt]",
        stdout="nonsense",
    ),
    broken("units", SHOW, "test_runs[etcd]", stdout=shown_units("etcd", "ActiveState=active", "ActiveState=failed")),
    broken(
        "units",
        SHOW,
        "test_starts_at_boot[kubelet]",
        stdout=shown_units("kubelet", "UnitFileState=enabled", "UnitFileState=disabled"),
    ),
    broken("units", SHOW, "test_current", stdout=shown_units("kubelet", "NeedDaemonReload=no", "NeedDaemonReload=yes")),
    broken("units", "readlink", "test_current", stdout="/opt/kbootstrap/etcd/3.6.0/etcd (deleted)\n"),
    broken(
        "units", "^systemctl show .* nginx.service", "test_strangers", stdout="Id=nginx.service\nActiveState=active\n"
    ),
    broken("sockets", "^ss ", "test_port[etcd, 2380]", "test_nothing_else", stdout=SS.replace(":2380", ":2999")),
    broken("sockets", "^ss ", "test_port[etcd, 2381]", stdout=SS.replace("127.0.0.1:2381", "*:2381")),
    broken(
        "sockets",
        "^ss ",
        "test_port[kubelet, read-only, 10255]",
        stdout=SS + 'LISTEN 0 4096 *:10255 *:* users:(("kubelet",pid=9,fd=9))\n',
    ),
    broken(
        "sockets",
        "^ss ",
        "test_nothing_else",
        stdout=SS + 'LISTEN 0 4096 0.0.0.0:4194 0.0.0.0:* users:(("kubelet",pid=9,fd=9))\n',
    ),
    broken("etcd", "endpoint health", "test_healthy", exit_code=1, stderr="context deadline exceeded"),
    broken("etcd", "curl .*:2379", "test_clients_need_a_certificate", exit_code=0),
    broken("control_plane", "readyz\\?verbose", "test_ready", exit_code=7, stderr="curl: (7) Failed to connect"),
    broken("control_plane", "readyz\\?verbose", "test_ready", stdout=READYZ.replace("[+]etcd ok", "[-]etcd failed")),
    broken("control_plane", "/api/v1/secrets", "test_anonymous", stdout="\n".join(["200"] * 4 + ["401"] * 8)),
    broken("control_plane", "/api/v1/secrets", "test_anonymous", stdout="\n".join(["401"] * 12)),
    broken("control_plane", ":10257", "test_daemon[kube-controller-manager]", stdout="500\n403\n"),
    broken("control_plane", ":10259", "test_daemon[kube-scheduler]", stdout="200\n200\n"),
    broken(
        "control_plane",
        "/cmdline",
        "test_flag[--authorization-mode]",
        stdout=CMDLINE.replace("--authorization-mode=Node,RBAC", "--authorization-mode=AlwaysAllow"),
    ),
    broken("control_plane", "test -e .*audit.log", "test_audit_log", exit_code=1),
    broken("control_plane", "stat -Lc %a .*audit.log", "test_audit_log", stdout="644\n"),
    broken("endpoint", "https://127.0.0.1:6443/readyz", "test_proxy", exit_code=7, stderr="refused"),
    broken("endpoint", "kube-endpoint show", "test_proxied", stdout="198.18.8.11\tunready\t/readyz says 500\t-\n"),
    broken("endpoint", "kube-endpoint show", "test_proxied", exit_code=127, stderr="not found"),
    broken("endpoint", "https://198.18.8.100:6443/readyz", "test_endpoint", exit_code=28, stderr="timed out"),
    broken("node", "crictl .*info", "test_runtime", exit_code=1, stderr="connection refused"),
    broken(
        "node",
        "crictl .*info",
        "test_runtime",
        stdout=without_network(),
    ),
    broken("node", "10248", "test_kubelet", stdout="000", exit_code=7),
    broken("node", "10250", "test_kubelet_refuses_strangers", stdout="200\n401\n401\n401\n"),
    broken("node", "10256", "test_kube_proxy", stdout="503"),
    broken("node", "subnet.env", "test_pod_network", stdout="FLANNEL_SUBNET=10.99.1.1/24\n"),
    broken("node", "subnet.env", "test_pod_network", stdout="", exit_code=1),
    broken("node", "10-flannel.conflist", "test_pod_network", exit_code=1),
]

NOT_BREAKABLE_HERE = {"system.test_module"}
"""Left out in containers, where the recording is from."""


def test_a_healthy_host_passes() -> None:
    cluster = recorded_cluster()
    outcomes = outcomes_of(HOST, host_suites(cluster, cluster.host(HOST)), {HOST: recorded_host(HOST)})
    assert [outcome for outcome in outcomes if outcome.verdict is Verdict.FAILED] == []
    assert sum(outcome.verdict is Verdict.PASSED for outcome in outcomes) > 100
    untested = functions(outcomes) - NOT_BREAKABLE_HERE
    for fault in FAULTS:
        untested -= {f"{fault.suite.replace('_', '-')}.{test.partition('[')[0]}" for test in fault.fails}
    assert untested == set(), "tests that were never seen to fail"


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_noticed_by_exactly_its_tests(fault: Broken) -> None:
    outcomes = outcomes_of(HOST, [f"hosts/test_{fault.suite}.py"], {HOST: recorded_host(HOST, fault.answer)})
    assert failed_tests(outcomes) == fault.fails
    for outcome in outcomes:
        if outcome.verdict is Verdict.FAILED:
            assert outcome.finding is not None
            assert "Traceback" not in outcome.finding.message
            assert "assert " not in outcome.finding.message
            assert outcome.finding.command


def test_certificates_that_end_soon_fail() -> None:
    late = RECORDED_AT + timedelta(days=360)
    outcomes = outcomes_of(HOST, ["hosts/test_certificates.py"], {HOST: recorded_host(HOST)}, now=late)
    assert {test.partition("[")[0] for test in failed_tests(outcomes)} == {"test_certificate", "test_kubeconfig"}
    finding = next(o.finding for o in outcomes if o.finding)
    assert finding.expected == "at least 14"
    assert finding.found == "4"


def test_certificates_that_are_not_valid_yet_fail() -> None:
    early = datetime(2020, 1, 1, tzinfo=UTC)
    outcomes = outcomes_of(HOST, ["hosts/test_certificates.py"], {HOST: recorded_host(HOST)}, now=early)
    assert {test.partition("[")[0] for test in failed_tests(outcomes)} == {"test_certificate", "test_kubeconfig"}


def test_authorities_that_end_soon_fail() -> None:
    late = RECORDED_AT + timedelta(days=3600)
    outcomes = outcomes_of(HOST, ["hosts/test_certificates.py"], {HOST: recorded_host(HOST)}, now=late)
    assert "test_authority[/etc/kubernetes/pki/ca.crt]" in failed_tests(outcomes)


def test_a_module_that_is_not_loaded_is_noticed_outside_of_containers() -> None:
    host = recorded_host(
        HOST,
        Answer("systemd-detect-virt", exit_code=1),
        Answer("/sys/module/overlay", exit_code=0),
        Answer("/sys/module/", exit_code=1),
        Answer("modules.builtin", exit_code=1),
    )
    outcomes = outcomes_of(HOST, ["hosts/test_system.py"], {HOST: host})
    assert failed_tests(outcomes) == {"test_module[br_netfilter]"}


def test_a_lost_connection_is_told_in_words() -> None:
    host = recorded_host(HOST, Answer("endpoint health", lost=True))
    outcomes = outcomes_of(HOST, ["hosts/test_etcd.py"], {HOST: host})
    [failure] = [outcome for outcome in outcomes if outcome.verdict is Verdict.FAILED]
    assert failure.finding is not None
    assert failure.finding.message == "cp1: the connection was lost"


def test_private_keys_are_never_read() -> None:
    cluster = recorded_cluster()
    host = recorded_host(HOST)
    outcomes_of(HOST, host_suites(cluster, cluster.host(HOST)), {HOST: host})
    readers = [command for command in host.asked if command.startswith(("cat", "grep", "sed", "head"))]
    assert len(readers) > 10
    assert [command for command in readers if ".key" in command or "encryption" in command] == []
    assert not any("key-data" in command for command in readers)
