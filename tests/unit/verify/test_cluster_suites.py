"""The suites about all hosts together pass on a recorded healthy cluster, and each test fails on its fault."""

import copy
import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from kbootstrap.model.cluster import Cluster, Role
from kbootstrap.verify.catalogue import cluster_suites
from kbootstrap.verify.report import CLUSTER, Outcome, Verdict
from tests.unit.verify.world import (
    Answer,
    RecordedHost,
    RecordedKube,
    failed_tests,
    functions,
    outcomes_of,
    recorded,
    recorded_cluster,
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


@dataclass
class TwoMembers:
    """What two members say: the list of members they both have, and their statuses."""

    members: list[dict[str, Any]]
    first: dict[str, Any]
    second: dict[str, Any]

    def answers(self) -> dict[str, Answer]:
        listed = json.dumps({"members": self.members})
        said = {"cp1": self.first, "w1": self.second}
        return {
            name: Answer("member list", f"{listed}\n-- kbootstrap --\n{json.dumps([{'Status': status}])}\n")
            for name, status in said.items()
        }


def two_members() -> TwoMembers:
    """The recorded member, and a healthy second one on w1."""
    listed, _, own = ETCD.partition("-- kbootstrap --")
    members, first = json.loads(listed)["members"], json.loads(own)[0]["Status"]
    second = copy.deepcopy(first)
    second["header"]["member_id"] = 7
    return TwoMembers([*members, {"ID": 7, "name": "w1"}], first, second)


def two_member_cluster() -> Cluster:
    hosts = tuple(
        dataclasses.replace(host, roles=host.roles | {Role.ETCD} if host.name == "w1" else host.roles)
        for host in recorded_cluster().hosts
    )
    return dataclasses.replace(recorded_cluster(), hosts=hosts)


def _learner(etcd: TwoMembers) -> None:
    etcd.members[1]["isLearner"] = True


def _stranger(etcd: TwoMembers) -> None:
    etcd.members.append({"ID": 8, "name": "old"})


def _never_started(etcd: TwoMembers) -> None:
    etcd.members.append({"ID": 8})


def _no_leader(etcd: TwoMembers) -> None:
    etcd.first["leader"] = etcd.second["leader"] = 0


def _two_leaders(etcd: TwoMembers) -> None:
    etcd.second["leader"] = 7


def _two_clusters(etcd: TwoMembers) -> None:
    etcd.second["header"]["cluster_id"] = 5


def _lagging(etcd: TwoMembers) -> None:
    etcd.second["header"]["revision"] += 10_000


def _old_version(etcd: TwoMembers) -> None:
    etcd.second["version"] = "3.5.0"


def _alarm(etcd: TwoMembers) -> None:
    etcd.first["errors"] = ["memberID:1 alarm:NOSPACE"]


def _full(etcd: TwoMembers) -> None:
    etcd.first["dbSize"] = 7 * 2**30


IN_ETCD: list[tuple[str, Callable[[TwoMembers], None]]] = [
    ("test_members", _learner),
    ("test_members", _stranger),
    ("test_members", _never_started),
    ("test_one_leader", _no_leader),
    ("test_one_leader", _two_leaders),
    ("test_one_cluster", _two_clusters),
    ("test_one_history", _lagging),
    ("test_one_version", _old_version),
    ("test_alarms", _alarm),
    ("test_space", _full),
]


def ask_etcd(answers: dict[str, Answer]) -> list[Outcome]:
    hosts = {name: recorded_host(name, answers[name]) for name in ("cp1", "w1")}
    return outcomes_of(CLUSTER, ["cluster/test_etcd.py"], hosts, cluster=two_member_cluster())


@pytest.mark.parametrize(("test", "break_it"), IN_ETCD)
def test_a_fault_of_etcd_is_noticed_by_exactly_its_test(test: str, break_it: Callable[[TwoMembers], None]) -> None:
    etcd = two_members()
    break_it(etcd)
    assert failed_tests(ask_etcd(etcd.answers())) == {test}


def test_a_healthy_etcd_passes() -> None:
    assert failed_tests(ask_etcd(two_members().answers())) == set()


def test_a_member_that_does_not_answer_is_named() -> None:
    silent = {"w1": Answer("member list", exit_code=1, stderr="Error: context deadline exceeded")}
    outcomes = ask_etcd({**two_members().answers(), **silent})
    assert failed_tests(outcomes) == {"test_all_answer"}
    [finding] = [outcome.finding for outcome in outcomes if outcome.finding]
    assert finding.found == "w1: Error: context deadline exceeded"


def test_an_etcd_that_does_not_answer_at_all_is_told_once() -> None:
    silence = Answer("member list", exit_code=1, stderr="Error: context deadline exceeded")
    assert failed_tests(ask_etcd({"cp1": silence, "w1": silence})) == {"test_all_answer"}


@dataclass(frozen=True)
class OnHosts:
    """A fault that hosts show."""

    suite: str
    test: str
    broken: dict[str, Answer]

    def __str__(self) -> str:
        return f"{self.suite}: {self.test}"


ON_HOSTS = [
    OnHosts("endpoint", "test_vip_holder", {"w1": Answer("address show", HOLDS_VIP)}),
    OnHosts("endpoint", "test_vip_holder", {"cp1": Answer("address show", "")}),
    OnHosts(
        "endpoint", "test_vip_holder", {"cp1": Answer("address show", ""), "w1": Answer("address show", HOLDS_VIP)}
    ),
    OnHosts("endpoint", "test_vip_holder", {"cp1": Answer("address show", exit_code=1, stderr="Cannot open netlink")}),
    OnHosts("hosts", "test_authority[/etc/kubernetes/pki/ca.crt]", {"w1": Answer("<.*/pki/ca.crt", DIGEST)}),
    OnHosts("hosts", "test_clocks", {"w1": Answer("^date", "1700000000.0\n")}),
]


@pytest.mark.parametrize("fault", ON_HOSTS, ids=str)
def test_a_fault_on_hosts_is_noticed(fault: OnHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = healthy_hosts()
    for name, answer in fault.broken.items():
        hosts[name] = recorded_host(name, answer)
    outcomes = run(monkeypatch, hosts, recorded_kube(), (f"cluster/test_{fault.suite}.py",))
    assert failed_tests(outcomes) == {fault.test}


def test_keys_that_differ_between_control_planes_are_noticed() -> None:
    """The recording has one control plane; a copy of it is the second."""
    second = {"w1": frozenset({Role.CONTROL_PLANE}), "cp1": frozenset({Role.CONTROL_PLANE})}
    cluster = recorded_cluster()
    hosts = tuple(dataclasses.replace(host, roles=second[host.name]) for host in cluster.hosts)
    cp1 = recorded_host("cp1")
    other = RecordedHost("w1", cp1.answers, [Answer("<.*/sa.key", DIGEST)])
    outcomes = outcomes_of(
        CLUSTER,
        ["cluster/test_hosts.py"],
        {"cp1": cp1, "w1": other},
        cluster=dataclasses.replace(cluster, hosts=hosts),
    )
    assert failed_tests(outcomes) == {"test_shared_key[/etc/kubernetes/pki/sa.key]"}


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
    outcomes = run(monkeypatch, healthy_hosts(), recorded_kube(), cluster_suites(recorded_cluster()))
    assert [outcome for outcome in outcomes if outcome.verdict is not Verdict.PASSED] == []
    seen = {f"{fault.suite}.{fault.test.partition('[')[0]}" for fault in ON_HOSTS}
    seen |= {f"{suite}.{test.partition('[')[0]}" for suite, test, _ in IN_THE_API}
    seen |= {f"etcd.{test}" for test, _ in IN_ETCD} | {"etcd.test_all_answer"}
    assert functions(outcomes) - seen == {"api.test_access", "hosts.test_shared_key"}, "never seen to fail"


def test_without_a_way_to_the_api_one_test_says_so_and_the_others_are_left_out() -> None:
    outcomes = outcomes_of(CLUSTER, cluster_suites(recorded_cluster()), healthy_hosts(), api="cp1: connection refused")
    assert failed_tests(outcomes) == {"test_access"}
    assert sum(outcome.verdict is Verdict.SKIPPED for outcome in outcomes) > 10


def test_where_no_host_can_be_reached_nothing_passes() -> None:
    outcomes = outcomes_of(CLUSTER, cluster_suites(recorded_cluster()), {}, api="no control-plane host can be reached")
    assert failed_tests(outcomes) == {"test_access"}
    assert {outcome.verdict for outcome in outcomes} == {Verdict.FAILED, Verdict.SKIPPED}


def test_a_host_that_cannot_say_whether_it_holds_the_vip_is_no_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = healthy_hosts() | {"w1": recorded_host("w1", Answer("address show", exit_code=1, stderr="no netlink"))}
    assert failed_tests(run(monkeypatch, hosts, recorded_kube(), ("cluster/test_endpoint.py",))) == set()
