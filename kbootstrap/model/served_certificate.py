"""Whether a certificate that somebody else has issued can be served: its key, its names, its chain, its time."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

SOON = timedelta(days=14)
"""Less than this is worth a warning: certificates of ACME are renewed when a third of their 90 days is left."""


def certificate_faults(pem: bytes, names: Sequence[str], now: datetime) -> Iterator[tuple[str, str]]:
    """What is wrong with the certificates in `pem` for these server names, each with what to do."""
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError:
        yield "there is no certificate in it that can be read", "PEM: -----BEGIN CERTIFICATE----- …"
        return
    for number, one in enumerate(chain, 1):
        which = "it" if number == 1 else f"its certificate {number} ({one.subject.rfc4514_string()})"
        if one.not_valid_after_utc <= now:
            yield f"{which} expired on {one.not_valid_after_utc:%Y-%m-%d}", "put the renewed one there"
        if one.not_valid_before_utc > now:
            since = f"{one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            yield f"{which} is not valid before {since}", "is this machine's clock right?"
    own = _names(chain[0])
    missing = [name for name in names if not any(covers(pattern, name) for pattern in own)]
    if missing:
        said = f"it is for {', '.join(own)}" if own else "it has no DNS names"
        yield f"it is not for {', '.join(missing)}", f"{said}: take another certificate, or correct server_names"
    for number, (one, issuer) in enumerate(pairwise(chain), 2):
        if not _issued(one, issuer):
            yield (
                f"its certificate {number} has not issued the one before",
                "first the server's own, then each one's issuer; the root is not needed",
            )


def is_due(pem: bytes, now: datetime) -> int | None:
    """Days left of a valid certificate that should be renewed soon, or of one in its chain; None when there is time."""
    try:
        left = min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(pem)) - now
    except ValueError:
        return None
    return left.days if timedelta(0) < left < SOON else None


def key_faults(pem: bytes, certificate: bytes) -> Iterator[tuple[str, str]]:
    """What is wrong with a private key for that certificate, each with what to do."""
    try:
        key = load_pem_private_key(pem, password=None).public_key()
    except TypeError:
        yield "the key is encrypted, and Nginx could not read it", "openssl pkey -in FILE -out FILE"
        return
    except (ValueError, UnsupportedAlgorithm):
        yield "there is no private key in it that can be read", "PEM: -----BEGIN PRIVATE KEY----- …"
        return
    try:
        certified = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        return  # said of the certificate
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_bytes(*form) != certified.public_bytes(*form):
        yield "the key belongs to another certificate", "name the key that the certificate was asked for with"


def covers(pattern: str, name: str) -> bool:
    """Whether a name of a certificate is good for a server's name (RFC 6125: `*` is one whole label, the first)."""
    if pattern.lower() == name:
        return True
    return pattern.startswith("*.") and not name.startswith("*.") and pattern[2:].lower() == name.partition(".")[2]


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(found.get_values_for_type(x509.DNSName))


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
