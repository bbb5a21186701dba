import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
import yaml

from kbootstrap.components.binaries import KUBECTL, KUBELET, node_binaries
from kbootstrap.components.containerd import containerd
from kbootstrap.components.cordons import CORDONED, Uncordoned
from kbootstrap.components.flannel import CNI_SCRIPT, flannel
from kbootstrap.components.images import ImportedImage, ImportedImages, images
from kbootstrap.components.kubelet import CONFIG, CONTROL_PLANE_TAINT, kubelet, taints
from kbootstrap.components.node_labels import ClusterNodes, NodeLabels, NodeMarks, node_labels
from kbootstrap.facts.fact import Facts
from kbootstrap.model.cluster import Cluster, Taint
from kbootstrap.model.settings import Settings
from kbootstrap.steps.command import Command
from kbootstrap.steps.delivery import Delivery
from kbootstrap.steps.file import File, Link
from kbootstrap.steps.step import Change, Step
from kbootstrap.steps.unit import Unit
from tests.golden.sites import TOPOLOGIES, site
from tests.local_host import shell

VIP = TOPOLOGIES["vip"]
LOCAL = TOPOLOGIES["local"]


def text(steps: list[Step], path: str) -> str:
    return next(step.content.decode() for step in steps if isinstance(step, File) and str(step.path).endswith(path))


def config(of: Cluster, name: str) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load(text(kubelet(site(of, name)), CONFIG.name))
    return loaded


def test_programs_lie_in_folders_of_their_version() -> None:
    place = site(VIP, "w1")
    delivered = [step.path for step in node_binaries(place) if isinstance(step, Delivery)]
    assert PurePosixPath("/opt/kbootstrap/kubelet/1.36.4/kubelet") in delivered
    assert KUBELET.use(place) == Link(PurePosixPath("/opt/kbootstrap/kubelet/current"), "1.36.4")
    assert f"{place.artifacts['kubelet'].sha256}  kubelet\n" in text(KUBELET.deliver(place), "SHA256SUMS")


def test_delivering_ahead_changes_nothing_that_runs() -> None:
    steps = node_binaries(site(VIP, "w1"))
    assert not [step for step in steps if isinstance(step, Link | Unit)]


def test_flannel_can_be_left_out() -> None:
    assert flannel(site(LOCAL, "w1")) == []
    assert not [step for step in node_binaries(site(LOCAL, "w1")) if "flannel" in str(step)]


def test_a_control_plane_host_is_tainted_unless_it_is_a_worker_too() -> None:
    assert taints(VIP.host("cp1")) == (CONTROL_PLANE_TAINT,)
    assert taints(TOPOLOGIES["single"].host("solo")) == ()
    assert taints(VIP.host("w1")) == (Taint("dedicated", "db", "NoSchedule"),)
    assert config(VIP, "w1")["registerWithTaints"] == [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]


def test_the_inventorys_configuration_is_merged_over_ours() -> None:
    changed = {"kubelet": {"config": {"failCgroupV1": False, "authentication": {"webhook": {"cacheTTL": "1m"}}}}}
    said = config(replace(VIP, settings=Settings.model_validate(changed)), "w1")
    assert said["failCgroupV1"] is False
    assert said["authentication"]["webhook"] == {"enabled": True, "cacheTTL": "1m"}  # type: ignore[index]
    assert said["authentication"]["anonymous"] == {"enabled": False}  # type: ignore[index]


@pytest.mark.parametrize(
    ("nameserver", "target"), [("198.18.0.1", "resolv.conf"), ("127.0.0.53", "run-resolv.conf"), (None, "resolv.conf")]
)
def test_pods_never_get_the_stub_resolver(
    nameserver: str | None, target: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("resolv")
    if nameserver:
        (folder / "resolv.conf").write_text(f"nameserver {nameserver}\n")
    step = next(step for step in kubelet(site(VIP, "w1")) if isinstance(step, Command))

    def here(script: str) -> str:
        script = script.replace("/etc/kubernetes/resolv.conf", f"{folder}/link")
        script = script.replace("/etc/resolv.conf", f"{folder}/resolv.conf")
        return script.replace("/run/systemd/resolve/resolv.conf", f"{folder}/run-resolv.conf")

    assert not shell(here(step.unless)).ok
    assert shell("set -eu\n" + here(step.script)).ok
    assert (folder / "link").readlink().name == target
    assert shell(here(step.unless)).ok


@pytest.mark.parametrize(
    ("given", "network"), [("10.244.3.1/24", "10.244.3.0/24"), ("10.244.0.65/26", "10.244.0.64/26")]
)
def test_the_cni_configuration_has_the_nodes_subnet(
    given: str, network: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cni")
    (folder / "net.d").mkdir()
    environment = f"FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET={given}\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    (folder / "subnet.env").write_text(environment)
    script = text(flannel(site(VIP, "w1")), CNI_SCRIPT.name)
    script = script.replace("/run/flannel", str(folder)).replace("/etc/cni", str(folder))
    subprocess.run(["sh", "-c", script], check=True)
    (written,) = (folder / "net.d").iterdir()
    bridge = yaml.safe_load(written.read_text())["plugins"][0]
    assert bridge["ipam"]["ranges"] == [[{"subnet": network}]]
    assert bridge["mtu"] == 1450


def test_registries_become_hosts_toml() -> None:
    steps = containerd(site(LOCAL, "w1"))
    mirrored = text(steps, "docker.io/hosts.toml")
    assert 'server = "https://registry-1.docker.io"' in mirrored
    assert '[host."https://mirror.example"]' in mirrored
    assert 'ca = "/etc/containerd/certs.d/docker.io/ca.crt"' in mirrored
    private = next(s for s in steps if isinstance(s, File) and "registry.example" in str(s.path))
    assert b"Basic cm9ib3Q6czNjcmV0" in private.content
    assert (private.mode, private.secret) == (0o600, True)


LISTED = b"""\
REF                          TYPE SIZE PLATFORMS LABELS
registry.k8s.io/pause:3.10.2 m    1    linux     a=b,kbootstrap.io/sha256=abc,io.cri-containerd.pinned=pinned
registry.example/pulled:1    m    1    linux     io.cri-containerd.image=managed
"""


def test_images_are_known_by_the_archive_they_came_from() -> None:
    assert ImportedImages().value(LISTED) == {"registry.k8s.io/pause:3.10.2": "abc", "registry.example/pulled:1": ""}
    assert ImportedImages().value(b"") == {}


def test_only_missing_or_other_images_are_imported() -> None:
    pause = images(site(VIP, "w1"))[0]
    assert isinstance(pause, ImportedImage)

    def change(digest: str | None) -> Change | None:
        return pause.diff(Facts({ImportedImages(): {} if digest is None else {pause.reference: digest}}), frozenset())

    assert change(pause.artifact.sha256) is None
    for digest in (None, "", "other"):
        due = change(digest)
        assert due is not None
        assert due.deliveries == (pause.artifact.sha256,)
        assert "pinned" in due.script


def test_images_that_this_machine_does_not_have_are_pulled_by_the_hosts() -> None:
    place = site(VIP, "w1")
    without = {name: artifact for name, artifact in place.artifacts.items() if name != "coredns"}
    assert [
        step.reference for step in images(replace(place, artifacts=without)) if isinstance(step, ImportedImage)
    ] == ["registry.k8s.io/pause:3.10.2"]


def label_change(step: NodeLabels, marks: NodeMarks | None) -> Change | None:
    return step.diff(Facts({ClusterNodes(): {} if marks is None else {step.node: marks}}), frozenset())


def test_nodes_are_labelled_from_the_first_control_plane_host() -> None:
    assert node_labels(site(VIP, "cp2")) == []
    steps = {step.node: step for step in node_labels(site(VIP, "cp1")) if isinstance(step, NodeLabels)}
    worker = steps["w1"]
    assert worker.labels == {"node-role.kubernetes.io/worker": "", "disk": "fast"}
    there = NodeMarks({**worker.labels, "theirs": "x"}, frozenset({*worker.taints, Taint("other", "", "NoExecute")}))
    assert label_change(worker, there) is None
    due = label_change(worker, NodeMarks({"node-role.kubernetes.io/worker": "", "disk": "slow"}, there.taints))
    assert due is not None
    assert due.diff == "disk=fast"
    assert " taint " not in due.script


def test_a_node_that_is_not_there_yet_is_waited_for() -> None:
    worker = next(step for step in node_labels(site(VIP, "cp1")) if isinstance(step, NodeLabels) and step.node == "w1")
    due = label_change(worker, None)
    assert due is not None
    assert "wait --for=create node/w1 --timeout=180s" in due.script
    assert "dedicated=db:NoSchedule" in due.script


@pytest.mark.parametrize(("seconds", "answered", "labelled"), [(9, 3, True), (1, 99, False)])
def test_a_request_that_takes_too_long_ends_no_wait(
    seconds: int, answered: int, labelled: bool, tmp_path: Path
) -> None:
    """kubectl gives up then, whatever time is left, and says that it was the condition."""
    worker = next(step for step in node_labels(site(VIP, "cp1")) if isinstance(step, NodeLabels))
    due = label_change(replace(worker, seconds=seconds), None)
    assert due is not None
    stub = f"""\
kubectl() {{
  echo "$*" >>{tmp_path}/asked
  case $* in *wait*) [ "$(wc -l <{tmp_path}/asked)" -ge {answered} ] && return; echo 'timed out' >&2; return 1 ;; esac
}}
"""
    result = shell(stub + due.script.replace(str(KUBECTL.program()), "kubectl"), "-eu")
    assert (result.ok, "timed out" in result.errors) == (labelled, not labelled)
    assert (" label node " in (tmp_path / "asked").read_text()) is labelled


def test_labels_and_taints_are_read() -> None:
    output = (
        b'{"kind":"NodeList","items":['
        b'{"metadata":{"name":"w1","labels":{"a":"b","r":""}},"spec":{"taints":[{"effect":"NoSchedule","key":"k"}]}},'
        b'{"metadata":{"name":"w2","annotations":{"x":"y"}},"spec":{}}]}\n'
    )
    assert ClusterNodes().value(output) == {
        "w1": NodeMarks({"a": "b", "r": ""}, frozenset({Taint("k", "", "NoSchedule")})),
        "w2": NodeMarks({}, frozenset(), {"x": "y"}),
    }
    assert ClusterNodes().value(b"") == {}


def test_a_node_is_uncordoned_that_a_run_of_ours_cordoned() -> None:
    step = Uncordoned("w1")

    def due(marks: NodeMarks | None) -> Change | None:
        return step.diff(Facts({ClusterNodes(): {} if marks is None else {"w1": marks}}), frozenset())

    assert due(None) is None
    assert due(NodeMarks({}, frozenset(), {"other": "x"})) is None
    change = due(NodeMarks({}, frozenset(), {CORDONED: "20260101-000000-ab"}))
    assert change is not None
    assert "20260101-000000-ab" in change.diff
