"""What is issued, as OpenSSL sees it."""

import subprocess
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kbootstrap.errors import InvalidInput, PkiUnusable
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.certificate import defects, inspect
from kbootstrap.pki.create import create_pki
from kbootstrap.pki.issue import create_authority, issue
from kbootstrap.pki.keys import public_of
from kbootstrap.pki.spec import CertificateSpec

NOW = datetime.now(UTC).replace(microsecond=0)
PKI = create_pki("demo", NOW, 3650)
SERVER = CertificateSpec(
    "kube-apiserver",
    ("team",),
    ("kubernetes", "kubernetes.default.svc"),
    (IPv4Address("10.96.0.1"), IPv4Address("198.18.0.11")),
    server=True,
)
CLIENT = CertificateSpec("admin", ("system:masters",), client=True)


def openssl(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False)


def verify(folder: Path, authority: Authority, certificate: bytes, *options: str) -> bool:
    (folder / "ca.crt").write_bytes(authority.certificate)
    (folder / "leaf.crt").write_bytes(certificate)
    arguments = ("-x509_strict", *options, "-CAfile", str(folder / "ca.crt"), str(folder / "leaf.crt"))
    return openssl("verify", *arguments).returncode == 0


def test_openssl_verifies_purpose_name_and_address(tmp_path: Path) -> None:
    server, _ = issue(PKI.kubernetes, SERVER, NOW, 365)
    client, _ = issue(PKI.kubernetes, CLIENT, NOW, 365)
    assert verify(tmp_path, PKI.kubernetes, server, "-purpose", "sslserver", "-verify_hostname", "kubernetes")
    assert verify(tmp_path, PKI.kubernetes, server, "-verify_ip", "198.18.0.11")
    assert verify(tmp_path, PKI.kubernetes, client, "-purpose", "sslclient")
    assert not verify(tmp_path, PKI.kubernetes, server, "-purpose", "sslclient")
    assert not verify(tmp_path, PKI.kubernetes, client, "-purpose", "sslserver")
    assert not verify(tmp_path, PKI.kubernetes, server, "-verify_hostname", "other")
    assert not verify(tmp_path, PKI.etcd, server)


def test_openssl_reads_the_text() -> None:
    certificate, key = issue(PKI.kubernetes, SERVER, NOW, 365)
    text = openssl("x509", "-noout", "-text", stdin=certificate).stdout.decode()
    assert "Issuer: O = demo, CN = kubernetes-ca" in text
    assert "Subject: O = team, CN = kube-apiserver" in text
    assert "DNS:kubernetes, DNS:kubernetes.default.svc, IP Address:10.96.0.1, IP Address:198.18.0.11" in text
    assert "CA:FALSE" in text
    assert "Authority Key Identifier" in text
    assert "Subject Key Identifier" in text
    assert "TLS Web Server Authentication" in text
    assert "TLS Web Client Authentication" not in text
    assert "prime256v1" in text
    assert openssl("pkey", "-pubout", stdin=key).stdout == public_of(key)


def test_authorities_are_valid_roots(tmp_path: Path) -> None:
    for authority, name in ((PKI.kubernetes, "kubernetes-ca"), (PKI.etcd, "etcd-ca")):
        assert verify(tmp_path, authority, authority.certificate)
        text = openssl("x509", "-noout", "-text", stdin=authority.certificate).stdout.decode()
        assert f"Subject: O = demo, CN = {name}" in text
        assert "CA:TRUE" in text
        assert "Certificate Sign, CRL Sign" in text


def test_old_rsa_authority_signs_too(tmp_path: Path) -> None:
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=kubernetes", "-days", "100"),
        *("-addext", "keyUsage=critical,keyCertSign"),
        *("-keyout", str(tmp_path / "rsa.key"), "-out", str(tmp_path / "rsa.crt")),
    )
    authority = Authority((tmp_path / "rsa.crt").read_bytes(), (tmp_path / "rsa.key").read_bytes())
    certificate, key = issue(authority, SERVER, NOW, 50)
    assert verify(tmp_path, authority, certificate, "-purpose", "sslserver")
    assert defects(SERVER, certificate, key, authority, NOW, timedelta(days=10)) == ()


def test_validity_is_bounded_by_the_authority() -> None:
    authority = create_authority("short", "demo", NOW, 10)
    said = inspect(issue(authority, SERVER, NOW, 365)[0])
    assert said.not_after == NOW + timedelta(days=10)
    assert said.not_before < NOW
    with pytest.raises(PkiUnusable, match="expired"):
        issue(authority, SERVER, NOW + timedelta(days=10), 365)


def test_serials_differ_and_the_clock_may_be_late() -> None:
    first, second = (issue(PKI.etcd, SERVER, NOW, 1)[0] for _ in range(2))
    serials = {openssl("x509", "-noout", "-serial", stdin=pem).stdout for pem in (first, second)}
    assert len(serials) == 2
    assert defects(SERVER, first, b"", PKI.etcd, NOW - timedelta(minutes=4), timedelta()) == ("there is no key",)


@pytest.mark.parametrize("spec", [CertificateSpec("x" * 65), CertificateSpec("x", names=("bücher.example",))])
def test_impossible_names_are_input_errors(spec: CertificateSpec) -> None:
    with pytest.raises(InvalidInput):
        issue(PKI.kubernetes, spec, NOW, 1)


def test_secrets_do_not_show() -> None:
    assert b"PRIVATE KEY" not in repr(PKI).encode()
    assert PKI.encryption_key not in repr(PKI)


def test_fifty_certificates_are_quick() -> None:
    begin = time.process_time()
    for _ in range(50):
        issue(PKI.kubernetes, SERVER, NOW, 365)
    assert time.process_time() - begin < 0.1


def test_checking_fifteen_is_quick() -> None:
    certificate, key = issue(PKI.kubernetes, SERVER, NOW, 365)
    begin = time.process_time()
    for _ in range(15):
        assert not defects(SERVER, certificate, key, PKI.kubernetes, NOW, timedelta(days=60))
    assert time.process_time() - begin < 0.02
