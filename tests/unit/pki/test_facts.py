"""The facts, asked of this machine's own shell."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from kbootstrap.errors import PkiUnusable
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.paths import ABSENT, PathStat, PathState
from kbootstrap.facts.pki import CertificateExpiry, ClusterRemains, gather_pki, pki_facts
from kbootstrap.model.cluster import Cluster, Host, Role
from kbootstrap.model.versions import Version
from kbootstrap.pki import paths
from kbootstrap.pki.create import create_pki
from kbootstrap.pki.files import pki_files
from kbootstrap.pki.issue import issue
from kbootstrap.pki.kubeconfig import kubeconfig_text
from kbootstrap.pki.spec import CertificateSpec

NOW = datetime(2026, 8, 1, tzinfo=UTC)
PKI = create_pki("demo", NOW, 3650)
WRITTEN = {file.path: file.content for file in pki_files(PKI)}
CLUSTER = Cluster(
    "demo",
    Version.parse("1.36.4"),
    (
        Host("cp1", IPv4Address("198.18.0.11"), frozenset({Role.CONTROL_PLANE, Role.ETCD})),
        Host("cp2", IPv4Address("198.18.0.12"), frozenset({Role.CONTROL_PLANE, Role.ETCD})),
        Host("w1", IPv4Address("198.18.0.21"), frozenset({Role.WORKER})),
    ),
)


def facts(name: str, files: Mapping[PurePosixPath, bytes] | None = None, remains: tuple[str, ...] = ()) -> Facts:
    values: dict[Fact[Any], object] = {}
    for fact in pki_facts(CLUSTER.host(name)):
        if isinstance(fact, PathState):
            content = (files or {}).get(fact.path)
            values[fact] = ABSENT if content is None else PathStat("file", 0o600, "root", "root", content)
        else:
            values[fact] = remains
    return Facts(values)


def ask(fact: CertificateExpiry | ClusterRemains) -> Any:
    script = type(fact).script([fact])  # type: ignore[list-item]
    output = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True).stdout
    return type(fact).parse([fact], output)[fact], output  # type: ignore[list-item,index]


def test_gathers_from_whichever_host_has_it() -> None:
    assert gather_pki(CLUSTER, {"cp1": facts("cp1"), "cp2": facts("cp2", WRITTEN), "w1": facts("w1")}, NOW) == PKI
    assert gather_pki(CLUSTER, {"cp2": facts("cp2", WRITTEN)}, NOW) == PKI
    assert gather_pki(CLUSTER, {"cp1": facts("cp1"), "cp2": facts("cp2")}, NOW) is None


def test_a_silent_host_or_a_workers_remains_forbid_a_new_one() -> None:
    with pytest.raises(PkiUnusable, match="cp2 could not be asked"):
        gather_pki(CLUSTER, {"cp1": facts("cp1")}, NOW)
    worker = facts("w1", remains=("/var/lib/kubelet/pki/kubelet.crt",))
    with pytest.raises(PkiUnusable, match=r"w1: /var/lib/kubelet/pki/kubelet\.crt"):
        gather_pki(CLUSTER, {"cp1": facts("cp1"), "cp2": facts("cp2"), "w1": worker}, NOW)


def test_remains_are_found(tmp_path: Path) -> None:
    fact = ClusterRemains((f"{tmp_path}/etcd/member", f"{tmp_path}/*.conf"))
    assert ask(fact)[0] == ()
    (tmp_path / "etcd/member").mkdir(parents=True)
    (tmp_path / "kubelet.conf").touch()
    assert ask(fact)[0] == (f"{tmp_path}/etcd/member", f"{tmp_path}/kubelet.conf")


def test_the_pki_itself_is_no_remains(tmp_path: Path) -> None:
    """Otherwise a first run that died while writing it could never be finished."""
    for path, content in WRITTEN.items():
        (tmp_path / path.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.relative_to("/")).write_bytes(content)
    assert ask(ClusterRemains(tuple(f"{tmp_path}{pattern}" for pattern in ClusterRemains().patterns)))[0] == ()


def test_expiry_of_every_certificate_and_no_key_leaves_the_host(tmp_path: Path) -> None:
    certificate, key = issue(PKI.kubernetes, CertificateSpec("web", server=True), NOW, 30)
    client, client_key = issue(PKI.kubernetes, CertificateSpec("admin", client=True), NOW, 20)
    for path, content in WRITTEN.items():
        (tmp_path / path.name).write_bytes(content)
    (tmp_path / "a file .crt").write_bytes(certificate + PKI.kubernetes.certificate)
    (tmp_path / "both.pem").write_bytes(key + certificate)
    (tmp_path / "torn.pem").write_bytes(certificate[:100] + b"\n" + key)
    (tmp_path / "broken.crt").write_bytes(certificate.replace(b"MII", b"MJJ", 1))
    (tmp_path / "kubelet-client-2026-01-01-00-00-00.pem").write_bytes(key + certificate)
    (tmp_path / "admin.conf").write_text(
        kubeconfig_text(
            server_url="https://10.0.0.1:6443",
            cluster_name="demo",
            user="admin",
            authority=PKI.kubernetes.certificate,
            certificate=client,
            key=client_key,
        )
    )
    found, output = ask(CertificateExpiry((str(tmp_path), str(tmp_path / "missing"))))
    assert b"PRIVATE" not in output
    assert key.splitlines()[1] not in output
    assert b"client-key" not in output
    assert [(expiry.path.name, expiry.subject, expiry.days_left(NOW)) for expiry in found] == [
        ("admin.conf", "CN=admin", 20),
        ("a file .crt", "CN=web", 30),
        ("both.pem", "CN=web", 30),
        ("a file .crt", "CN=kubernetes-ca,O=demo", 3650),
        ("ca.crt", "CN=etcd-ca,O=demo", 3650),
        ("front-proxy-ca.crt", "CN=kubernetes-front-proxy-ca,O=demo", 3650),
    ]
    assert found[0].days_left(NOW + timedelta(days=20, seconds=1)) == -1


def test_paths_are_kubeadms() -> None:
    assert str(paths.ETCD_CA_KEY) == "/etc/kubernetes/pki/etcd/ca.key"
    assert str(paths.SERVICE_ACCOUNT_PRIVATE) == "/etc/kubernetes/pki/sa.key"
