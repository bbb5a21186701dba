"""Certificates: signed by the right authority, good for a while yet, and saying what their users need.

Only what is public is read: keys stay where they are, also when a test fails and shows what it read.
"""

from datetime import datetime, timedelta

from testinfra.host import Host as Remote

from kbootstrap.pki.authority import Authority
from kbootstrap.pki.certificate import CertificateFacts, days_left, inspect, issued_by
from kbootstrap.pki.kubeconfig import embedded
from kbootstrap.verify.layout import CertificateFile

CLOCK_SKEW = timedelta(minutes=5)
"""A certificate that was issued a moment ago by a machine whose clock is ahead is no fault."""

AUTHORITY_DAYS = 90
"""An authority's end is a project, not a command: there must be time for it."""


def test_certificate(host: Remote, certificate: CertificateFile, now: datetime, minimum_days: int) -> None:
    """The certificate is good."""
    pem = _read(host, certificate.path)
    _check_good(pem, _read(host, certificate.authority), certificate.authority, now, minimum_days)
    _check_says(inspect(pem), certificate)


def test_kubeconfig(host: Remote, kubeconfig: CertificateFile, now: datetime, minimum_days: int) -> None:
    """The kubeconfig's certificate is good, and it trusts the cluster's authority."""
    public = host.check_output(
        "grep --extended-regexp '^ +(server|certificate-authority-data|client-certificate-data):' %s", kubeconfig.path
    )
    has = embedded(public.encode())
    authority = _read(host, kubeconfig.authority)
    same = has.authority.strip() == authority.strip()
    assert same, f"{kubeconfig.path} trusts another authority than {kubeconfig.authority}"
    _check_good(has.certificate, authority, kubeconfig.authority, now, minimum_days)
    _check_says(inspect(has.certificate), kubeconfig)


def test_authority(host: Remote, authority: str, now: datetime) -> None:
    """The authority is good for a while yet."""
    left = days_left(inspect(_read(host, authority)).not_after, now)
    assert left >= AUTHORITY_DAYS, f"the authority {authority} ends soon (days left)"


def _read(host: Remote, path: str) -> bytes:
    read = host.run("cat %s", path)
    assert read.succeeded, f"{path} cannot be read"
    content: bytes = read.stdout_bytes
    return content


def _check_good(pem: bytes, authority: bytes, authority_path: str, now: datetime, minimum_days: int) -> None:
    said = inspect(pem)
    assert said.not_before <= now + CLOCK_SKEW, "it is not valid yet"
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
