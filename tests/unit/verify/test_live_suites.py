"""The live suites pass on a cluster that plays along, fail on each fault, and always take their namespace away."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kbootstrap.errors import CheckFailed
from kbootstrap.transport.connection import COMMAND_TIMEOUT, Result
from kbootstrap.verify import manifests, stage
from kbootstrap.verify.catalogue import LIVE_SUITES
from kbootstrap.verify.kube import ApiRefused, Object
from kbootstrap.verify.report import LIVE, Outcome, Verdict
from tests.unit.verify.world import failed_tests, functions, outcomes_of, use_kube

NODES = ("cp1", "w1")


@dataclass
class PlayedCluster:
    """An API whose objects come alive at once; what is broken in it is a field."""

    namespaces: dict[str, Object] = field(default_factory=dict)
    created: list[Object] = field(default_factory=list)
    unready: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    log: str = "Started HTTP server on port 8080"
    ended: str = "exit code 0"
    refuses: str = ""
    stuck: bool = False

    def create(self, path: str, body: Object) -> Object:
        if body["kind"] == self.refuses:
            raise ApiRefused("POST", path, 403, json.dumps({"message": f"{body['kind']} is forbidden"}))
        self.created.append(body)
        if body["kind"] == "Namespace":
            made = {"creationTimestamp": datetime.now(UTC).isoformat(), **body["metadata"]}
            self.namespaces[made["name"]] = {"metadata": made, "status": {"phase": "Active"}}
        spec = {"clusterIP": "10.96.7.7", "ports": [{"nodePort": 30777}]} if body["kind"] == "Service" else {}
        return {**body, "spec": {**body.get("spec", {}), **spec}}

    def delete(self, path: str) -> None:
        if not self.stuck:
            self.namespaces.pop(path.rpartition("/")[2])

    def get(self, path: str, **query: str) -> Object:
        name = path.rpartition("/")[2]
        if name not in self.namespaces:
            raise ApiRefused("GET", path, 404, "{}")
        return self.namespaces[name]

    def items(self, path: str, **query: str) -> list[Object]:
        if path.endswith("/pods"):
            return [self._pod(node) for node in NODES]
        if path.endswith("/nodes"):
            return [self._pod(node) | {"metadata": {"name": node}} for node in NODES if node not in self.unready]
        if path.endswith("/events"):
            return [{"message": warning} for warning in self.warnings]
        return list(self.namespaces.values())

    def text(self, path: str) -> str:
        return self.log

    def run(self, namespace: str, pod: str, command: Sequence[str]) -> str:
        return self.ended

    def _pod(self, node: str) -> Object:
        ready = {"type": "Ready", "status": "False" if node in self.unready else "True"}
        status = {"conditions": [ready], "phase": "Pending", "podIP": f"10.244.{NODES.index(node)}.9"}
        return {"metadata": {"name": f"web-{node}"}, "spec": {"nodeName": node}, "status": status}


@dataclass
class PlayedHost:
    """A host whose requests are answered, but for those to the targets in `silent`."""

    name: str
    silent: str = "nothing"
    stored: str = "k8s:enc:secretbox:v1:"
    audited: str = "4"

    def run(self, command: str, *, timeout: float = COMMAND_TIMEOUT) -> Result:
        raise AssertionError(f"not expected: {command}")

    def run_script(self, script: str, *, timeout: float = COMMAND_TIMEOUT) -> Result:
        if "etcdctl" in script:
            return self._result(script, self.stored)
        if "audit.log" in script:
            return self._result(script, self.audited)
        keys = re.findall(r"^probe (?:'([^']*)'|(\S+)) ", script, re.MULTILINE)
        lines = [self._line(quoted or plain) for quoted, plain in keys]
        return self._result(script, "\n".join(lines))

    def _line(self, key: str) -> str:
        return f"{key}\tfailed\tcurl: (28) timed out" if re.match(self.silent, key) else f"{key}\tok"

    def _result(self, script: str, stdout: str) -> Result:
        return Result(self.name, script, 0, stdout.encode(), b"", 0.0)


def play(
    monkeypatch: pytest.MonkeyPatch, api: PlayedCluster, *, image_problems: dict[str, str] | None = None, **cp1: str
) -> list[Outcome]:
    monkeypatch.setattr(stage, "PODS_SECONDS", 0.0)
    monkeypatch.setattr(stage, "GONE_SECONDS", 0.1)
    monkeypatch.setattr(stage, "INTERVAL", 0.01)
    use_kube(monkeypatch, api)
    hosts: Any = {"cp1": PlayedHost("cp1", **cp1), "w1": PlayedHost("w1")}
    return outcomes_of(LIVE, LIVE_SUITES, hosts, image_problems=image_problems)


FAULTS: list[tuple[set[str], Callable[[], PlayedCluster], dict[str, Any]]] = [
    ({"test_image[w1]"}, PlayedCluster, {"image_problems": {"w1": "no space left on device"}}),
    ({"test_runs[w1]"}, lambda: PlayedCluster(unready=("w1",), warnings=("cni plugin not initialized",)), {}),
    ({"test_logs[cp1]", "test_logs[w1]"}, lambda: PlayedCluster(log=""), {}),
    ({"test_exec[cp1]", "test_exec[w1]"}, lambda: PlayedCluster(ended="exit code 1: DNS: no such host"), {}),
    ({"test_exec[cp1]", "test_exec[w1]"}, lambda: PlayedCluster(ended="no end in 10 s"), {}),
    ({"test_pod_to_pod[cp1]"}, PlayedCluster, {"silent": "pod-to-pod w1"}),
    ({"test_pod_to_service[cp1]"}, PlayedCluster, {"silent": "pod-to-service"}),
    ({"test_pod_dns[cp1]"}, PlayedCluster, {"silent": "pod-dns"}),
    ({"test_host_to_pod[cp1]"}, PlayedCluster, {"silent": "host-to-pod w1"}),
    ({"test_host_to_service[cp1]"}, PlayedCluster, {"silent": "host-to-service"}),
    ({"test_node_port[cp1]"}, PlayedCluster, {"silent": "node-port the VIP"}),
    ({"test_encryption_at_rest"}, PlayedCluster, {"stored": "k8s......v1..Secret"}),
    ({"test_audit_log"}, PlayedCluster, {"audited": "0"}),
]


@pytest.mark.parametrize(("fails", "api", "more"), FAULTS)
def test_a_fault_is_noticed_by_exactly_its_tests(
    fails: set[str], api: Callable[[], PlayedCluster], more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    played = api()
    assert failed_tests(play(monkeypatch, played, **more)) == fails
    assert played.namespaces == {}


def test_a_cluster_that_plays_along_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    api = PlayedCluster()
    outcomes = play(monkeypatch, api)
    assert [outcome for outcome in outcomes if outcome.verdict is not Verdict.PASSED] == []
    seen = {test.partition("[")[0] for fails, _, _ in FAULTS for test in fails}
    assert {name.partition(".")[2] for name in functions(outcomes)} == seen, "tests never seen to fail"
    assert api.namespaces == {}


def test_why_a_pod_does_not_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = play(monkeypatch, PlayedCluster(unready=("w1",), warnings=("cni plugin not initialized",)))
    [failure] = [outcome for outcome in outcomes if outcome.verdict is Verdict.FAILED]
    assert failure.finding is not None
    assert failure.finding.found == "cni plugin not initialized"


def test_what_the_api_refuses_is_told_and_the_namespace_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    api = PlayedCluster(refuses="DaemonSet")
    outcomes = play(monkeypatch, api)
    failures = [outcome for outcome in outcomes if outcome.verdict is Verdict.FAILED]
    assert failures
    assert all(o.finding and "DaemonSet is forbidden" in o.finding.message for o in failures)
    assert api.namespaces == {}


def test_a_namespace_that_stays_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = failed_tests(play(monkeypatch, PlayedCluster(stuck=True)))
    assert {test.rpartition(":")[2] for test in failed} == {"teardown"}


def test_an_interrupted_check_takes_its_namespace_away() -> None:
    api: Any = PlayedCluster()
    with pytest.raises(KeyboardInterrupt), stage.staged(api, "agnhost:1", 1.0):
        assert len(api.namespaces) == 1
        raise KeyboardInterrupt
    assert api.namespaces == {}


def namespace(name: str, owner: str, age: timedelta) -> Object:
    made = (datetime.now(UTC) - age).isoformat()
    metadata = {"name": name, "annotations": {manifests.OWNER: owner}, "creationTimestamp": made}
    return {"metadata": metadata, "status": {"phase": "Active"}}


def test_what_killed_verifications_left_goes_away_and_that_of_others_stays() -> None:
    dead, alive = f"{manifests.owner().rpartition('/')[0]}/999999999", manifests.owner()
    young, old = timedelta(minutes=1), timedelta(hours=1)
    left = [
        namespace("kbootstrap-verify-dead", dead, young),
        namespace("kbootstrap-verify-mine", alive, old),
        namespace("kbootstrap-verify-theirs", "elsewhere/1", young),
        namespace("kbootstrap-verify-old", "elsewhere/1", old),
        namespace("precious", dead, old),
    ]
    api: Any = PlayedCluster(namespaces={item["metadata"]["name"]: item for item in left})
    with stage.staged(api, "agnhost:1", 1.0):
        pass
    assert set(api.namespaces) == {"kbootstrap-verify-mine", "kbootstrap-verify-theirs", "precious"}


def test_the_namespace_is_told_when_it_does_not_go_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "GONE_SECONDS", 0.0)
    api: Any = PlayedCluster(stuck=True)
    with pytest.raises(CheckFailed, match="still there"), stage.staged(api, "agnhost:1", 1.0):
        pass


def test_pods_may_run_where_only_restricted_pods_may() -> None:
    pod = manifests.daemon_set("agnhost:1")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert container["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (
            {"status": {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "x"}}}]}},
            "ErrImagePull: x",
        ),
        ({"status": {"containerStatuses": [{"state": {"waiting": {"reason": "Creating"}}}]}}, "Creating"),
        ({"status": {"conditions": [{"message": "0/2 nodes are available"}]}}, "0/2 nodes are available"),
        ({"status": {"phase": "Pending"}, "spec": {"nodeName": "w1"}}, "it is Pending"),
        ({"status": {"phase": "Pending"}, "spec": {}}, "not placed yet: is kube-scheduler well?"),
    ],
)
def test_the_state_of_a_pod(pod: Object, said: str) -> None:
    assert stage.state_of(pod) == said
