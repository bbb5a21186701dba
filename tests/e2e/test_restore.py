"""Restores on real hosts: nothing that was acknowledged before the backup is lost, wherever the hosts are."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pyrage  # type: ignore[import-untyped]
import pytest

from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.lab.spec import standard
from kbootstrap.model.versions import Version
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory, wait_until
from tests.e2e.object_store import ObjectStore, bucket_target

pytestmark = pytest.mark.long

KEYS = 300
"""Acknowledged before the backup."""
SUBNET = IPv4Network("198.18.76.0/24")
PASSWORD = "correct horse"
IMAGE = load_catalogue().release(Version(1, 36, 4)).image_reference("pause")


@dataclass(frozen=True, slots=True)
class Backed:
    """A cluster with a backup, also in an object store; the key is only here."""

    bed: Bed
    store: ObjectStore
    identity: Path
    backup: str

    def restore(self, *options: str) -> list[str]:
        """The words of the command."""
        return ["restore", self.backup, "--identity", str(self.identity), "--yes", *options]


@pytest.fixture(scope="module")
def backed(beds: BedFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    folder = tmp_path_factory.mktemp("backups")
    key = pyrage.x25519.Identity.generate()
    identity = folder / "key.txt"
    identity.write_text(f"{key}\n")
    bed = beds(standard(name=f"{PREFIX}restore", subnet=SUBNET, control_planes=3, workers=1))
    store = ObjectStore(folder / "store", str(SUBNET[1]))
    target = bucket_target(store, "backups", bed.folder)
    bed.write({"backup": {"recipients": [str(key.to_public())], "targets": {"offsite": target}}})
    store.start()
    bed.run("up").expect()
    write_before(bed)
    made: dict[str, str] = json.loads(bed.run("backup", "run", "--json").expect().out.splitlines()[0])
    (name,) = made.values()
    yield Backed(bed, store, identity, name)
    store.stop()


def write_before(bed: Bed) -> None:
    """Objects that the API has acknowledged, a Secret and an application among them."""
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"key-{number}"}, "data": {"n": str(number)}}
        for number in range(KEYS)
    ]
    bed.kubectl("create namespace shop")
    first = bed.control_planes[0]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    bed.ssh(first, "sudo kubectl --namespace=shop create --filename=- >/dev/null", said=text, timeout=300)
    bed.kubectl(f"--namespace=shop create secret generic db --from-literal=password='{PASSWORD}'")
    bed.kubectl(f"--namespace=shop create deployment web --image={IMAGE} --replicas=2")
    bed.kubectl("--namespace=shop wait --for=condition=Available deployment/web --timeout=120s --request-timeout=0")


def write_after(bed: Bed) -> None:
    """What a restore takes back."""
    bed.kubectl("--namespace=shop create configmap after --from-literal=a=b")
    bed.kubectl("--namespace=shop delete secret/db configmap/key-0 --ignore-not-found")


def require_as_before(bed: Bed, without: str = "") -> None:
    """Every key is there and nothing that came later, the Secret can be read, the application runs, members agree."""
    names = set(bed.kubectl("--namespace=shop get configmaps --output=name").split())
    assert {f"configmap/key-{number}" for number in range(KEYS)} <= names
    assert "configmap/after" not in names
    require_secret(bed)
    bed.kubectl("--namespace=shop wait --for=condition=Available deployment/web --timeout=120s --request-timeout=0")
    bed.kubectl(f"--namespace=shop create deployment new-{time.time_ns()} --image={IMAGE}")
    deployments = "--namespace=shop wait --for=condition=Available deployment --all --timeout=120s --request-timeout=0"
    bed.kubectl(deployments)
    status = json.loads(bed.ssh(bed.control_planes[0], "sudo etcdctl endpoint status --cluster --write-out=json"))
    assert len(status) == len([host for host in bed.control_planes if host != without])
    assert len({member["Status"]["header"]["cluster_id"] for member in status}) == 1
    assert all(member["Status"]["header"]["revision"] > 10**9 for member in status)
    assert set(bed.ready_nodes()) >= {node for node in bed.nodes if node != without}
    service = "get endpointslices --selector=kubernetes.io/service-name=kubernetes"
    answering = bed.kubectl(f"{service} --output=jsonpath='{{.items[*].endpoints[*].addresses[*]}}'").split()
    assert len(answering) == len(status), answering


def require_secret(bed: Bed) -> None:
    """It can be read, and etcd has it encrypted."""
    password = bed.kubectl("--namespace=shop get secret db --output=jsonpath='{.data.password}'")
    assert base64.b64decode(password).decode() == PASSWORD
    stored = bed.ssh(
        bed.control_planes[0], "sudo etcdctl get /registry/secrets/shop/db --print-value-only | head -c 20"
    )
    assert stored.startswith("k8s:enc:secretbox"), stored


def newest_version(bed: Bed) -> str:
    """What an informer that has listed everything would watch on from."""
    return bed.kubectl("get --raw '/api/v1/namespaces/shop/configmaps?limit=1' | jq -r .metadata.resourceVersion")


def require_watches(bed: Bed, since: str) -> None:
    """Who watched before the restore is told to list again, and who watches now sees what happens."""
    path = "/api/v1/namespaces/shop/configmaps?watch=1&timeoutSeconds=8&resourceVersion"
    old = bed.ssh(bed.control_planes[0], f"sudo kubectl get --raw '{path}={since}' 2>&1", check=False)
    assert "too old resource version" in old or "Expired" in old, old
    seen = bed.ssh(
        bed.control_planes[0],
        f"sudo kubectl get --raw '{path}={newest_version(bed)}' & sleep 2;"
        " sudo kubectl --namespace=shop create configmap seen --from-literal=a=b >/dev/null; wait;"
        " sudo kubectl --namespace=shop delete configmap seen >/dev/null",
    )
    assert '"name":"seen"' in seen, seen


def test_a_rehearsal_proves_it(backed: Backed) -> None:
    outcome = backed.bed.run("backup", "rehearse", backed.backup, "--identity", str(backed.identity))
    outcome.expect(0, "proven")
    hosts = backed.bed.on_all("sudo ls /var/lib/kbootstrap/backups", backed.bed.control_planes)
    assert any(f"{backed.backup}.rehearsed.json" in files for files in hosts.values())


def test_a_rehearsal_on_a_host(backed: Backed) -> None:
    """From the object store; nothing is left there."""
    bed = backed.bed
    words = ("--identity", str(backed.identity), "--from", "offsite", "--on", "w1")
    bed.note(bed.run("backup", "rehearse", *words).expect(0, "proven").timing)
    assert bed.ssh("w1", "ls -d /var/lib/kbootstrap/rehearsal.* 2>/dev/null || true") == ""
    assert bed.ssh("w1", "pgrep -f 'rehearsal[.]invalid|[n]ame=rehearsal' || true") == ""
    with bed.start("backup", "rehearse", *words) as process:
        assert process.stdout
        for line in process.stdout:
            if " etcd " in line:
                break
        process.kill()
    wait_until(
        lambda: (
            bed.ssh("w1", "ls -d /var/lib/kbootstrap/rehearsal.* 2>/dev/null; pgrep -x kube-apiserver || true") == ""
        ),
        seconds=30,
        what="the end of a killed rehearsal",
    )


def test_exported_keys(backed: Backed, tmp_path: Path) -> None:
    """One file that only its owner can read, and the key opens; nothing secret is printed."""
    folder = tmp_path / "stick"
    outcome = backed.bed.run("backup", "export-keys", "--output", str(folder), "--identity", str(backed.identity))
    outcome.expect(0, "opens it", "SHA-256")
    assert "PRIVATE KEY" not in outcome.text
    (file,) = folder.glob("*.tar.age")
    assert file.stat().st_mode & 0o777 == 0o600
    names = subprocess.run(
        ["tar", "-t"],
        input=pyrage.decrypt(file.read_bytes(), [pyrage.x25519.Identity.from_str(backed.identity.read_text().strip())]),
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert {"etc/kubernetes/pki/ca.key", "etc/kubernetes/encryption.yaml", "targets/offsite/secret_access_key"} <= set(
        names.split()
    )
    assert list(folder.glob("*-runbook.md"))


def test_a_host_that_is_away_stops_it_before_anything_is_touched(backed: Backed) -> None:
    bed = backed.bed
    away = next(host for host in bed.control_planes if not backed.backup.endswith(host))  # has no copy of it
    others = [host for host in bed.control_planes if host != away]
    with bed.without_power(away):
        before = bed.on_all("sudo etcdctl endpoint status; systemctl is-active kube-apiserver", others)
        outcome = bed.run(*backed.restore())
        assert outcome.code == 4, outcome.text
        assert away in outcome.text
        after = bed.on_all("systemctl is-active kube-apiserver; ls /var/lib/etcd", others)
        assert all("active" in said and "before-" not in said for said in after.values()), (before, after)


def test_on_its_own_hosts(backed: Backed) -> None:
    bed = backed.bed
    write_after(bed)
    watched = newest_version(bed)
    outcome = bed.run(*backed.restore("--no-verify")).expect(0, "revisions of etcd", "is back after")
    bed.note(outcome.timing)
    require_as_before(bed)
    require_watches(bed, watched)
    kept = bed.on_all("sudo find /var/lib/etcd -path '*before-*/member/snap/db'", bed.control_planes)
    assert all(kept.values())


def test_killed_and_gone_on_with(backed: Backed) -> None:
    bed = backed.bed
    write_after(bed)
    with bed.start(*backed.restore("--no-verify", "--json")) as process:
        assert process.stdout
        for line in process.stdout:
            if '"aside"' in line and "PhaseFinished" in line:
                break
        process.kill()
    bed.run(*backed.restore("--no-verify")).expect(0, "goes on with it", "is back after")
    require_as_before(bed)


def test_without_a_host_that_is_lost(backed: Backed) -> None:
    bed = backed.bed
    lost = next(host for host in reversed(bed.control_planes) if not backed.backup.endswith(host))
    write_after(bed)
    bed.lab.power_off(lost)
    outcome = bed.run(*backed.restore("--without", lost), timeout=900)
    bed.note(outcome.timing)
    outcome.expect(0, f"Given up: {lost}", "is back after")
    require_as_before(bed, lost)


def test_after_the_loss_of_all_hosts(backed: Backed) -> None:
    """New hosts; of the old ones there is only what lies in the object store, and the key."""
    bed, settings = backed.bed, backed.bed.inventory.read_text()
    backed.store.stop()
    bed.lab.down()
    bed.boot()
    bed.inventory.write_text(settings)
    backed.store.start()
    outcome = bed.run(*backed.restore("--from", "offsite"), timeout=900)
    bed.note(outcome.timing)
    outcome.expect(0, f"{backed.backup} from offsite", "is back after")
    require_as_before(bed)
    assert bed.plan() == {}
