"""What a certificate says, and what is wrong with it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kbootstrap.pki.authority import Authority
from kbootstrap.pki.keys import public_of, public_pem
from kbootstrap.pki.pem import first_certificate
from kbootstrap.pki.spec import CertificateSpec

LONGEST_RENEWAL_SHARE = 2 / 3
"""A certificate is never renewed with more than this share of its life left, whatever `renew_before` says:
one that is shorter than `renew_before` would be issued anew by every run."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says. Times are in UTC."""

    spec: CertificateSpec
    issuer: str
    not_before: datetime
    not_after: datetime


def inspect(pem: bytes) -> CertificateFacts:
    """What the first certificate in `pem` says; raises ValueError when there is none."""
    return _facts(first_certificate(pem))


def issued_by(pem: bytes, authority: Authority) -> bool:
    """Whether the authority signed the first certificate in `pem`; raises ValueError when there is none."""
    return _issued_by(first_certificate(pem), authority)


def days_left(not_after: datetime, now: datetime) -> int:
    """Whole days until `not_after`; negative after it."""
    return (not_after - now) // timedelta(days=1)


def defects(
    spec: CertificateSpec,
    certificate: bytes,
    key: bytes,
    authority: Authority,
    now: datetime,
    renew_before: timedelta,
) -> tuple[str, ...]:
    """Why a certificate (PEM, empty when there is none) must be issued anew, for people; empty when it is good."""
    if not certificate:
        return ("there is no certificate",)
    try:
        parsed = first_certificate(certificate)
        said = _facts(parsed)
    except ValueError:
        return ("the certificate cannot be read",)
    return (
        *_lifetime_defects(said, authority, now, renew_before),
        *_spec_defects(said.spec, spec),
        *([] if _issued_by(parsed, authority) else ["it was issued by another authority"]),
        *_key_defects(parsed, key),
    )


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    def subject(oid: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid))

    names, usages = _alternative_names(certificate), _usages(certificate)
    return CertificateFacts(
        spec=CertificateSpec(
            common_name=next(iter(subject(NameOID.COMMON_NAME)), ""),
            organizations=subject(NameOID.ORGANIZATION_NAME),
            names=tuple(names.get_values_for_type(x509.DNSName)),
            addresses=tuple(
                address
                for address in names.get_values_for_type(x509.IPAddress)
                if isinstance(address, IPv4Address | IPv6Address)
            ),
            server=ExtendedKeyUsageOID.SERVER_AUTH in usages,
            client=ExtendedKeyUsageOID.CLIENT_AUTH in usages,
        ),
        issuer=certificate.issuer.rfc4514_string(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _usages(certificate: x509.Certificate) -> tuple[x509.ObjectIdentifier, ...]:
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return ()


def _issued_by(certificate: x509.Certificate, authority: Authority) -> bool:
    try:
        certificate.verify_directly_issued_by(first_certificate(authority.certificate))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _lifetime_defects(
    said: CertificateFacts, authority: Authority, now: datetime, renew_before: timedelta
) -> list[str]:
    if said.not_before > now:
        return [f"it is not valid before {said.not_before:%Y-%m-%d %H:%M} UTC"]
    left = said.not_after - now
    if left <= timedelta(0):
        return [f"it expired on {said.not_after:%Y-%m-%d}"]
    if said.not_after >= first_certificate(authority.certificate).not_valid_after_utc:
        return []  # a new one would not last longer
    if left < min(renew_before, (said.not_after - said.not_before) * LONGEST_RENEWAL_SHARE):
        return [f"it has {days_left(said.not_after, now)} days left"]
    return []


def _spec_defects(said: CertificateSpec, wanted: CertificateSpec) -> list[str]:
    found = []
    if said.common_name != wanted.common_name:
        found.append(f"it is for {said.common_name or 'nobody'}, not for {wanted.common_name}")
    if set(said.organizations) != set(wanted.organizations):
        found.append(f"groups: {_difference(said.organizations, wanted.organizations)}")
    before, after = (*said.names, *said.addresses), (*wanted.names, *wanted.addresses)
    if set(before) != set(after):
        found.append(f"names: {_difference(before, after)}")
    if (said.server, said.client) != (wanted.server, wanted.client):
        found.append(f"usages: {usages_text(said)} -> {usages_text(wanted)}")
    return found


def _difference(before: tuple[object, ...], after: tuple[object, ...]) -> str:
    gone = [f"-{name}" for name in sorted({str(name) for name in before} - {str(name) for name in after})]
    new = [f"+{name}" for name in sorted({str(name) for name in after} - {str(name) for name in before})]
    return " ".join(new + gone)


def usages_text(spec: CertificateSpec) -> str:
    """What a certificate may be used for, in words."""
    return " and ".join(["server"] * spec.server + ["client"] * spec.client) or "none"


def _key_defects(certificate: x509.Certificate, key: bytes) -> list[str]:
    if not key:
        return ["there is no key"]
    try:
        matches = public_of(key) == public_pem(certificate.public_key())
    except ValueError:
        return ["the key cannot be read"]
    return [] if matches else ["the key belongs to another certificate"]
