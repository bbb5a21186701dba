"""Certificates: signed by the right authority, good for a while yet, and saying what their users need.

Only what is public is read: keys stay where they are, also when a test fails and shows what it read.
"""

from datetime import UTC, datetime, timedelta

from testinfra.host import Host as Remote

from kbootstrap.pki.authority import Authority
from kbootstrap.pki.certificate import CertificateFacts, days_left, inspect, issued_by
from kbootstrap.pki.kubeconfig import embedded
from kbootstrap.verify.layout import CertificateFile

AUTHORITY_DAYS = 90
"""An authority's end is a project, not a command: there must be time for it."""


def test_certificate(host: Remote, certificate: CertificateFile, minimum_days: int) -> None:
    """The certificate is good."""
    pem = _read(host, certificate.path)
    _check_good(pem, _read(host, certificate.authority), certificate.authority, minimum_days)
    _check_says(inspect(pem), certificate)


def test_kubeconfig(host: Remote, kubeconfig: CertificateFile, minimum_days: int) -> None:
    """The kubeconfig's certificate is good, and it trusts the cluster's authority."""
    public = host.check_output(
        "grep --extended-regexp '^ +(server|certificate-authority-data|client-certificate-data):' %s", kubeconfig.path
    )
    has = embedded(public.encode())
    authority = _read(host, kubeconfig.authority)
    assert has.authority == authority, f"{kubeconfig.path} trusts another authority than {kubeconfig.authority}"
    _check_good(has.certificate, authority, kubeconfig.authority, minimum_days)
    _check_says(inspect(has.certificate), kubeconfig)


def test_authority(host: Remote, authority: str) -> None:
    """The authority is good for a while yet."""
    left = days_left(inspect(_read(host, authority)).not_after, datetime.now(UTC))
    assert left >= AUTHORITY_DAYS, f"the authority {authority} ends soon (days left)"


def _read(host: Remote, path: str) -> bytes:
    content: bytes = host.file(path).content
    return content


def _check_good(pem: bytes, authority: bytes, authority_path: str, minimum_days: int) -> None:
    now, said = datetime.now(UTC), inspect(pem)
    assert said.not_before <= now + timedelta(seconds=1), "it is not valid yet"
    assert days_left(said.not_after, now) >= minimum_days, "it ends soon (days left); `kbootstrap up` renews it"
    assert issued_by(pem, Authority(authority, b"")), f"it is not signed by {authority_path} but by {said.issuer}"


def _check_says(said: CertificateFacts, wanted: CertificateFile) -> None:
    spec = said.spec
    assert (spec.common_name, spec.organizations) == (wanted.common_name, wanted.organizations), "it is for another"
    missing = {*wanted.names, *wanted.addresses} - {*spec.names, *spec.addresses}
    assert missing == set(), "names and addresses are missing in it"
    usages = {usage for usage in ("server", "client") if getattr(spec, usage)}
    expected = {usage for usage in ("server", "client") if getattr(wanted, usage)}
    assert usages == expected, "it is for other uses"
