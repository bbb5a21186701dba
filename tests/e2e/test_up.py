"""From bare hosts to a cluster by a saved plan, and then nothing more to do."""

import base64
import json
import re
from pathlib import PurePosixPath

import pytest

from tests.e2e.bed import CHANGES, Bed
from tests.e2e.conftest import Shared
from tests.e2e.observe import pods, running_units, vip_holders

SECRETS = """\
cat /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key
sed -n 's/.*"secret": "\\(.*\\)".*/\\1/p' /etc/kubernetes/encryption.yaml"""

TELLING_PART = slice(40, 80)
"""Characters of a line of a PEM key that are no other key's: what is before them tells only the algorithm."""


def test_a_plan_of_bare_hosts_has_changes_and_the_saved_one_is_carried_out(shared: Bed, shared_cluster: Shared) -> None:
    assert shared_cluster.bare_plan
    assert shared_cluster.first_up
    shared_cluster.bare_plan.expect(CHANGES)
    shared_cluster.first_up.expect(0, "is ready")
    planned = re.findall(r"^(\d+) changes on 5 hosts", shared_cluster.bare_plan.out, re.MULTILINE)
    done = re.findall(r"^(\d+) changes in", shared_cluster.first_up.out, re.MULTILINE)
    assert planned == done != []
    assert len(json.loads(shared_cluster.saved_plan.read_text())["changes"]) == int(done[0])


def test_the_cluster_works(shared: Bed) -> None:
    assert shared.ready_nodes() == sorted(shared.nodes)
    assert len(vip_holders(shared)) == 1
    rollout = shared.kubectl("--namespace=kube-system rollout status deployment/coredns --timeout=60s")
    assert "successfully rolled out" in rollout


def test_a_second_up_changes_and_restarts_nothing(shared: Bed) -> None:
    units, containers = running_units(shared), pods(shared)
    shared.run("plan").expect(0, "Nothing to change")
    second = shared.run("up").expect(0, "Nothing to change")
    assert running_units(shared) == units
    assert pods(shared) == containers
    assert second.seconds < 20


def test_a_plan_and_the_journals_show_no_keys(shared: Bed, shared_cluster: Shared) -> None:
    """Of the plan that made the cluster, and of one that would put back what is secret."""
    assert shared_cluster.bare_plan
    secrets = {line for host in shared.control_planes for line in shared.ssh(host, SECRETS).splitlines()}
    lines = {line for line in secrets if "-----" not in line}
    assert len(lines) > 10
    away = ["pki/ca.key", "pki/sa.key", "encryption.yaml", "scheduler.conf"]
    try:
        for file in away:
            shared.ssh("cp1", f"mv /etc/kubernetes/{file} /root/")
        told = shared.run("plan", "--diff").expect(CHANGES, *away)
    finally:
        for file in away:
            shared.ssh("cp1", f"mv /root/{PurePosixPath(file).name} /etc/kubernetes/{file}")
    shared.run("plan").expect(0)
    journals = "".join(path.read_text() for path in shared.folder.glob("state/**/*.jsonl"))
    journals += "".join(shared.on_all("cat /var/log/kbootstrap/journal.jsonl").values())
    for text in (shared_cluster.bare_plan.text, shared_cluster.saved_plan.read_text(), told.text, journals):
        assert "PRIVATE KEY" not in text
        assert base64.b64encode(b"-----BEGIN PRIVATE KEY")[:20].decode() not in text
        assert not [line for line in lines if (line[TELLING_PART] or line) in text]


def test_a_saved_plan_is_refused_when_a_host_has_changed_since(shared: Bed) -> None:
    kept = shared.folder / "kept.plan"
    shared.ssh(
        "w1",
        "sed -i 's/^kernel.panic=.*//' /etc/sysctl.d/90-kbootstrap.conf; sed -i d /etc/modules-load.d/kbootstrap.conf",
    )
    try:
        shared.run("plan", "--out", str(kept)).expect(CHANGES)
        shared.ssh("w2", "sed -i d /etc/modules-load.d/kbootstrap.conf")
        refused = shared.run("up", "--plan", str(kept)).expect(
            1, "w2", "modules-load.d/kbootstrap.conf", "have changed"
        )
        assert "Traceback" not in refused.text
        assert shared.ssh("w1", "cat /etc/modules-load.d/kbootstrap.conf") == ""
    finally:
        shared.run("up").expect()


@pytest.mark.parametrize("content", ["", "{}", '{"kind": "other"}', "\x00\x01"])
def test_what_is_no_saved_plan_is_refused(shared: Bed, content: str) -> None:
    broken = shared.folder / "broken.plan"
    broken.write_text(content)
    assert "Traceback" not in shared.run("up", "--plan", str(broken)).expect(3, "not a saved plan").text
