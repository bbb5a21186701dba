import subprocess
from pathlib import Path

import pytest
import yaml

from kbootstrap.components.addons import coredns, rbac
from kbootstrap.components.manifests import ManagedObjects, Manifests, ObjectKey, ObjectKind
from kbootstrap.facts.api import collection
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.paths import ABSENT, PathStat, PathState
from kbootstrap.steps.step import Change
from tests.golden.sites import TOPOLOGIES, site

YAML = b"""\
# A comment alone makes an empty document.
---
kind: ConfigMap
apiVersion: v1
metadata: {name: one, namespace: kube-system, labels: {mine: x}}
---
kind: ClusterRole
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: two}
"""
STEP = Manifests.from_yaml("both", YAML)
ONE, TWO = ObjectKey("ConfigMap", "kube-system", "one"), ObjectKey("ClusterRole", "", "two")
KINDS = ManagedObjects(
    (ObjectKind("rbac.authorization.k8s.io/v1", "ClusterRole"), ObjectKind("v1", "ConfigMap")),
)


def digests(step: Manifests) -> dict[ObjectKey, str]:
    return {
        ObjectKey(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]): item["metadata"][
            "annotations"
        ]["kbootstrap.io/digest"]
        for item in step.objects
    }


def change(there: dict[ObjectKey, str], *, written: bool = True) -> Change | None:
    stat = PathStat("file", 0o644, "root", "root", STEP.file.content) if written else ABSENT
    return STEP.diff(Facts({KINDS: there, PathState(STEP.file.path): stat}), frozenset())


def test_nothing_to_do() -> None:
    assert change(digests(STEP)) is None


def test_an_object_that_is_missing_or_another_is_applied() -> None:
    due = change({ONE: "old"})
    assert due is not None
    assert due.diff == "change ConfigMap kube-system/one\ncreate ClusterRole two"
    assert "apply --server-side" in due.script
    assert due.paths == frozenset()


def test_a_new_cluster_has_nothing() -> None:
    due = change({}, written=False)
    assert due is not None
    assert due.paths == {STEP.file.path}
    assert due.script.index("base64") < due.script.index("apply")


def test_a_lost_file_is_written_without_applying() -> None:
    due = change(digests(STEP), written=False)
    assert due is not None
    assert "apply" not in due.script


def test_objects_keep_their_labels_and_are_marked() -> None:
    metadata = yaml.safe_load(STEP.file.content.split(b"---")[0])["metadata"]
    assert metadata["labels"] == {"mine": "x", "app.kubernetes.io/managed-by": "kbootstrap"}


def test_any_change_changes_the_digest() -> None:
    changed = Manifests.from_yaml("both", YAML.replace(b"mine: x", b"mine: y"))
    assert digests(changed)[ONE] != digests(STEP)[ONE]
    assert digests(changed)[TWO] == digests(STEP)[TWO]


def test_all_manifests_are_asked_for_at_once() -> None:
    other = ManagedObjects((ObjectKind("apps/v1", "Deployment"),))
    script = ManagedObjects.script([KINDS, other])
    assert script.count("curl") == 1
    for path in ("/api/v1/configmaps", "/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/apps/v1/deployments"):
        assert f"{path}?labelSelector=app.kubernetes.io/managed-by%3Dkbootstrap&" in script


def test_what_the_api_answers() -> None:
    output = (
        b'{"kind":"ConfigMapList","items":[{"metadata":'
        b'{"name":"one","namespace":"kube-system","annotations":{"kbootstrap.io/digest":"abc"}}}]}\n'
        b'{"kind":"ClusterRoleList","items":[{"metadata":{"name":"two"}}]}\n'
        b'{"kind":"DeploymentList","items":null}\n'
        b'{"kind":"Status","code":403}\n'
        b'{"kind":"ServiceList","ite'
    )
    assert ManagedObjects.parse([KINDS], output) == {KINDS: {ONE: "abc", TWO: ""}}
    assert ManagedObjects.parse([KINDS], b"") == {KINDS: {}}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (ObjectKind("v1", "Service"), "/api/v1/services"),
        (ObjectKind("networking.k8s.io/v1", "IngressClass"), "/apis/networking.k8s.io/v1/ingressclasses"),
        (ObjectKind("networking.k8s.io/v1", "NetworkPolicy"), "/apis/networking.k8s.io/v1/networkpolicies"),
        (ObjectKind("policy/v1", "PodDisruptionBudget"), "/apis/policy/v1/poddisruptionbudgets"),
    ],
)
def test_where_the_objects_of_a_kind_are(kind: ObjectKind, path: str) -> None:
    assert collection(*kind) == path


def test_objects_of_the_cluster_are_applied_from_one_host() -> None:
    assert rbac(site(TOPOLOGIES["vip"], "cp2")) == []
    assert coredns(site(TOPOLOGIES["vip"], "w1")) == []
    assert len(coredns(site(TOPOLOGIES["vip"], "cp1"))) == 1


def test_dns_is_spread_over_hosts_where_there_are_several() -> None:
    def spread(topology: str, name: str) -> tuple[int, int]:
        (step,) = coredns(site(TOPOLOGIES[topology], name))
        assert isinstance(step, Manifests)
        spec = next(item for item in step.objects if item["kind"] == "Deployment")["spec"]
        return spec["replicas"], spec["template"]["spec"]["topologySpreadConstraints"][0]["minDomains"]

    assert spread("vip", "cp1") == (2, 2)
    assert spread("single", "solo") == (1, 1)


@pytest.mark.parametrize(
    ("says", "times", "code", "calls"),
    [
        ("failed to allocate IP 10.96.0.10: provided IP is already allocated", 2, 0, 3),
        ("failed to allocate IP 10.96.0.10: provided IP is already allocated", 9, 1, 5),
        ("the server was unable to return a response in the time allotted, but may still be processing it", 1, 0, 2),
        ("the server is currently unable to handle the request", 1, 0, 2),
        ("spec.ports: Required value", 9, 1, 1),
    ],
)
def test_what_may_be_gone_a_moment_later_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, times: int, code: int, calls: int
) -> None:
    program = tmp_path / "kubectl"
    fails = f"[ $(wc -l <{tmp_path}/calls) -gt {times} ] || {{ echo '{says}' >&2; exit 1; }}"
    program.write_text(f"#!/bin/sh\necho >>{tmp_path}/calls\n{fails}\n")
    program.chmod(0o755)
    (tmp_path / "sleep").symlink_to("/bin/true")
    monkeypatch.setattr("kbootstrap.components.manifests.kubectl", lambda *_, **__: str(program))
    due = change({})
    assert due is not None
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-eu"], input=due.script, env=path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (code, says if code else "")
    assert (tmp_path / "calls").read_text().count("\n") == calls
