"""Making certificates: authorities, and the leaves they sign."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kbootstrap.errors import InvalidInput, PkiUnusable
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.keys import load_private, new_key, private_pem
from kbootstrap.pki.pem import PEM, first_certificate
from kbootstrap.pki.spec import CertificateSpec

CLOCK_SKEW = timedelta(minutes=5)
"""How far back validity begins: hosts whose clocks are late must accept a new certificate at once."""


def create_authority(
    common_name: str, organization: str, now: datetime, days: int, key: bytes | None = None
) -> Authority:
    """A self-signed authority; `key` gives an existing private key (PEM) a new certificate."""
    private = new_key() if key is None else load_private(key)
    name = _name(common_name, (organization,))
    builder = _builder(name, name, private.public_key(), now, now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(private.public_key()), critical=False
    )
    return Authority(builder.sign(private, SHA256()).public_bytes(PEM), private_pem(private))


def issue(authority: Authority, spec: CertificateSpec, now: datetime, days: float) -> tuple[bytes, bytes]:
    """A certificate that says what `spec` says, and its new private key, both PEM.

    It never outlives the authority. Raises InvalidInput for names that a certificate cannot carry, PkiUnusable
    when the authority has expired.
    """
    signer = first_certificate(authority.certificate)
    end = min(now + timedelta(days=days), signer.not_valid_after_utc)
    if end <= now:
        raise PkiUnusable(
            f"the authority {signer.subject.rfc4514_string()} expired on {end:%Y-%m-%d}: it can sign nothing",
            hint="the authority has to be replaced by hand; docs/certificates.md says what hangs on it",
        )
    key = new_key()
    try:
        subject = _name(spec.common_name, spec.organizations)
        builder = _builder(subject, signer.subject, key.public_key(), now, end)
        for extension, critical in _leaf_extensions(spec, signer):
            builder = builder.add_extension(extension, critical=critical)
    except ValueError as error:
        raise InvalidInput(
            f"no certificate can be issued for {spec.common_name!r}: {error}",
            hint="a name has at most 64 characters, host names are ASCII: shorten the names in the inventory",
        ) from error
    return builder.sign(load_private(authority.key), SHA256()).public_bytes(PEM), private_pem(key)


def _name(common_name: str, organizations: tuple[str, ...]) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _leaf_extensions(spec: CertificateSpec, signer: x509.Certificate) -> list[tuple[x509.ExtensionType, bool]]:
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(signs_certificates=False), True),
        (_signer_identifier(signer), False),
    ]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] * spec.server + [ExtendedKeyUsageOID.CLIENT_AUTH] * spec.client
    if usages:
        extensions.append((x509.ExtendedKeyUsage(usages), False))
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in spec.names]
    names += [x509.IPAddress(address) for address in spec.addresses]
    if names:
        extensions.append((x509.SubjectAlternativeName(names), False))
    return extensions


def _signer_identifier(signer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """As the authority names its key itself: an adopted one may not use the usual digest."""
    try:
        own = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        own = x509.SubjectKeyIdentifier.from_public_key(signer.public_key()).digest
    return x509.AuthorityKeyIdentifier(own, None, None)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """ECDSA keys sign handshakes; they encipher nothing."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
