"""The suites about all hosts together pass on a recorded healthy cluster, and each test fails on its fault."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from kbootstrap.verify.catalogue import CLUSTER_SUITES
from kbootstrap.verify.report import CLUSTER, Outcome, Verdict
from tests.unit.verify.world import (
    Answer,
    RecordedHost,
    RecordedKube,
    failed_tests,
    functions,
    outcomes_of,
    recorded,
    recorded_host,
    recorded_kube,
    use_kube,
)

NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
DNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
DNS_SERVICE = "/api/v1/namespaces/kube-system/services/kube-dns"
DNS_PODS = "/api/v1/namespaces/kube-system/pods"
HOLDS_VIP = "2: eth0    inet 198.18.8.100/32 scope global eth0\n"
DIGEST = f"{'0' * 64}  -\n"
ETCD = next(said[1] for asked, said in recorded("hosts")["cp1"].items() if "member list" in asked)


def run(
    monkeypatch: pytest.MonkeyPatch, hosts: dict[str, RecordedHost], api: RecordedKube, suites: tuple[str, ...]
) -> list[Outcome]:
    use_kube(monkeypatch, api)
    return outcomes_of(CLUSTER, suites, hosts)


def healthy_hosts() -> dict[str, RecordedHost]:
    return {name: recorded_host(name) for name in recorded("hosts")}


def etcd_answer(change: Callable[[dict[str, Any], list[dict[str, Any]]], None]) -> Answer:
    """What etcdctl says, with the list of members and the status of a second member changed."""
    listed, _, said = ETCD.partition("-- kbootstrap --")
    members, statuses = json.loads(listed), json.loads(said)
    change(members, statuses)
    return Answer("member list", f"{json.dumps(members)}\n-- kbootstrap --\n{json.dumps(statuses)}\n")


def second_member(members: dict[str, Any], statuses: list[dict[str, Any]]) -> dict[str, Any]:
    """Adds a healthy second member and returns its status."""
    members["members"].append({"ID": 7, "name": "cp2", "peerURLs": [], "clientURLs": []})
    status: dict[str, Any] = json.loads(json.dumps(statuses[0]))
    status["Status"]["header"]["member_id"] = 7
    statuses.append(status)
    inner: dict[str, Any] = status["Status"]
    return inner


def changed(**values: object) -> Callable[[dict[str, Any], list[dict[str, Any]]], None]:
    """A second member, of which something is different."""

    def change(members: dict[str, Any], statuses: list[dict[str, Any]]) -> None:
        status = second_member(members, statuses)
        header = {name: values.pop(name) for name in ("revision", "cluster_id") if name in values}
        status.update(values)
        status["header"].update(header)

    return change


@dataclass(frozen=True)
class OnHosts:
    """A fault that hosts show."""

    suite: str
    test: str
    broken: dict[str, Answer]

    def __str__(self) -> str:
        return f"{self.suite}: {self.test}"


def _learner(members: dict[str, Any], _statuses: list[dict[str, Any]]) -> None:
    members["members"][0]["isLearner"] = True


def _stranger(members: dict[str, Any], statuses: list[dict[str, Any]]) -> None:
    second_member(members, statuses)
    members["members"][-1]["name"] = "old"


def _silent(_members: dict[str, Any], statuses: list[dict[str, Any]]) -> None:
    statuses.clear()


def _no_leader(_members: dict[str, Any], statuses: list[dict[str, Any]]) -> None:
    statuses[0]["Status"]["leader"] = 0


def _alarm(_members: dict[str, Any], statuses: list[dict[str, Any]]) -> None:
    statuses[0]["Status"]["errors"] = ["memberID:1 alarm:NOSPACE"]


def _full(_members: dict[str, Any], statuses: list[dict[str, Any]]) -> None:
    statuses[0]["Status"]["dbSize"] = 7 * 2**30


def etcd(test: str, change: Callable[[dict[str, Any], list[dict[str, Any]]], None]) -> OnHosts:
    return OnHosts("etcd", test, {"cp1": etcd_answer(change)})


ON_HOSTS = [
    OnHosts("endpoint", "test_vip_holder", {"w1": Answer("address show", HOLDS_VIP)}),
    OnHosts("endpoint", "test_vip_holder", {"cp1": Answer("address show", "")}),
    OnHosts(
        "endpoint", "test_vip_holder", {"cp1": Answer("address show", ""), "w1": Answer("address show", HOLDS_VIP)}
    ),
    OnHosts("hosts", "test_authority[/etc/kubernetes/pki/ca.crt]", {"w1": Answer("<.*/pki/ca.crt", DIGEST)}),
    OnHosts("hosts", "test_clocks", {"w1": Answer("^date", "1700000000.0\n")}),
    etcd("test_members", _learner),
    etcd("test_members", _stranger),
    OnHosts("etcd", "test_members", {"cp1": Answer("member list", exit_code=1, stderr="context deadline exceeded")}),
    etcd("test_all_answer", _silent),
    etcd("test_one_leader", _no_leader),
    etcd("test_one_leader", changed(leader=7)),
    etcd("test_one_cluster", changed(cluster_id=5)),
    etcd("test_one_history", changed(revision=999_999)),
    etcd("test_one_version", changed(version="3.5.0")),
    etcd("test_alarms", _alarm),
    etcd("test_space", _full),
]


@pytest.mark.parametrize("fault", ON_HOSTS, ids=str)
def test_a_fault_on_hosts_is_noticed(fault: OnHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = healthy_hosts()
    for name, answer in fault.broken.items():
        hosts[name] = recorded_host(name, answer)
    failed = failed_tests(run(monkeypatch, hosts, recorded_kube(), (f"cluster/test_{fault.suite}.py",)))
    assert fault.test in failed
    assert failed - {fault.test} <= {"test_members", "test_all_answer"}  # a member too many, or all silent


def test_keys_that_differ_between_control_planes_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recording has one control plane; a copy of it is the second."""
    cp1 = recorded_host("cp1")
    other = RecordedHost("w1", cp1.answers, [Answer("<.*/sa.key", DIGEST)])
    failed = failed_tests(run(monkeypatch, {"cp1": cp1, "w1": other}, recorded_kube(), ("cluster/test_hosts.py",)))
    assert failed == set()  # w1 is no control plane by the inventory: its keys are not asked for
    shared = [asked for asked in other.asked if ".key" in asked]
    assert shared == []


def node(api: RecordedKube, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in api.objects[NODES]["items"] if item["metadata"]["name"] == name)
    return found


def _not_ready(api: RecordedKube) -> None:
    for condition in node(api, "w1")["status"]["conditions"]:
        if condition["type"] == "Ready":
            condition |= {"status": "Unknown", "message": "Kubelet stopped posting node status."}


def _under_pressure(api: RecordedKube) -> None:
    for condition in node(api, "w1")["status"]["conditions"]:
        if condition["type"] == "DiskPressure":
            condition["status"] = "True"


def _cordoned(api: RecordedKube) -> None:
    node(api, "w1")["spec"]["unschedulable"] = True


def _missing_node(api: RecordedKube) -> None:
    api.objects[NODES]["items"] = [item for item in api.objects[NODES]["items"] if item["metadata"]["name"] != "w1"]


def _old_kubelet(api: RecordedKube) -> None:
    node(api, "w1")["status"]["nodeInfo"]["kubeletVersion"] = "v1.35.8"


def _other_address(api: RecordedKube) -> None:
    node(api, "w1")["status"]["addresses"][0]["address"] = "10.0.0.1"


def _no_label(api: RecordedKube) -> None:
    del node(api, "cp1")["metadata"]["labels"]["node-role.kubernetes.io/control-plane"]


def _no_taint(api: RecordedKube) -> None:
    node(api, "cp1")["spec"].pop("taints")


def _more_taints(api: RecordedKube) -> None:
    node(api, "w1")["spec"]["taints"] = [{"key": "left", "value": "behind", "effect": "NoExecute"}]


def _shared_range(api: RecordedKube) -> None:
    node(api, "w1")["spec"]["podCIDR"] = node(api, "cp1")["spec"]["podCIDR"]


def _range_outside(api: RecordedKube) -> None:
    node(api, "w1")["spec"]["podCIDR"] = "192.168.0.0/24"


def _dns_down(api: RecordedKube) -> None:
    api.objects[DNS]["status"]["readyReplicas"] = 1


def _dns_elsewhere(api: RecordedKube) -> None:
    api.objects[DNS_SERVICE]["spec"]["clusterIP"] = "10.96.0.99"


def _dns_on_one_node(api: RecordedKube) -> None:
    for pod in api.objects[DNS_PODS]["items"]:
        pod["spec"]["nodeName"] = "w1"


def _lease_lost(api: RecordedKube) -> None:
    api.objects[f"{LEASES}/kube-scheduler"]["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"


def _lease_of_a_stranger(api: RecordedKube) -> None:
    api.objects[f"{LEASES}/kube-controller-manager"]["spec"]["holderIdentity"] = "elsewhere_1"


def _no_lease(api: RecordedKube) -> None:
    del api.objects[f"{LEASES}/kube-scheduler"]


def _old_apiserver(api: RecordedKube) -> None:
    api.objects["/version"]["gitVersion"] = "v1.35.0"


IN_THE_API: list[tuple[str, str, Callable[[RecordedKube], None]]] = [
    ("api", "test_version", _old_apiserver),
    ("leaders", "test_leader[kube-scheduler]", _lease_lost),
    ("leaders", "test_leader[kube-scheduler]", _no_lease),
    ("leaders", "test_leader[kube-controller-manager]", _lease_of_a_stranger),
    ("nodes", "test_names", _missing_node),
    ("nodes", "test_ready[w1]", _not_ready),
    ("nodes", "test_ready[w1]", _under_pressure),
    ("nodes", "test_ready[w1]", _cordoned),
    ("nodes", "test_version[w1]", _old_kubelet),
    ("nodes", "test_address[w1]", _other_address),
    ("nodes", "test_labels[cp1]", _no_label),
    ("nodes", "test_taints[cp1]", _no_taint),
    ("nodes", "test_taints[w1]", _more_taints),
    ("nodes", "test_pod_ranges", _shared_range),
    ("nodes", "test_pod_ranges", _range_outside),
    ("nodes", "test_dns", _dns_down),
    ("nodes", "test_dns", _dns_elsewhere),
    ("nodes", "test_dns", _dns_on_one_node),
]


@pytest.mark.parametrize(("suite", "test", "break_it"), IN_THE_API)
def test_a_fault_in_the_api_is_noticed_by_exactly_its_test(
    suite: str, test: str, break_it: Callable[[RecordedKube], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = recorded_kube()
    break_it(api)
    assert failed_tests(run(monkeypatch, healthy_hosts(), api, (f"cluster/test_{suite}.py",))) == {test}


def test_a_healthy_cluster_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = run(monkeypatch, healthy_hosts(), recorded_kube(), CLUSTER_SUITES)
    assert [outcome for outcome in outcomes if outcome.verdict is not Verdict.PASSED] == []
    seen = {f"{fault.suite}.{fault.test.partition('[')[0]}" for fault in ON_HOSTS}
    seen |= {f"{suite}.{test.partition('[')[0]}" for suite, test, _ in IN_THE_API}
    assert functions(outcomes) - seen == {"api.test_access", "hosts.test_shared_key"}, "tests never seen to fail"


def test_without_a_way_to_the_api_one_test_says_so_and_the_others_are_left_out() -> None:
    outcomes = outcomes_of(CLUSTER, CLUSTER_SUITES, healthy_hosts(), api="cp1: connection refused")
    assert failed_tests(outcomes) == {"test_access"}
    assert sum(outcome.verdict is Verdict.SKIPPED for outcome in outcomes) > 10
