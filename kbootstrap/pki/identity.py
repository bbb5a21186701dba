"""What tells one version of a file of the PKI from another, without showing a secret."""

import hashlib
from pathlib import PurePosixPath

from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key

from kbootstrap.pki import paths
from kbootstrap.pki.encryption import encryption_keys
from kbootstrap.pki.keys import public_of, public_pem
from kbootstrap.pki.pem import certificates, first_certificate

SHOWN = 16
"""Hexadecimal digits: enough to tell a handful of versions apart."""


def identity(path: PurePosixPath, content: bytes) -> str:
    """A short digest of what the file means; a private key's is that of its public key.

    Raises ValueError when the content is not what belongs at `path`.
    """
    return hashlib.sha256(_meaning(path, content)).hexdigest()[:SHOWN]


def _meaning(path: PurePosixPath, content: bytes) -> bytes:
    if path == paths.ENCRYPTION_CONFIG:
        return "\n".join(encryption_keys(content)).encode()
    if path.suffix == ".key":
        return public_of(content)
    if path.suffix == ".pub":
        public_half(content)
        return content.strip()
    first_certificate(content)
    return b"".join(certificate.public_bytes(Encoding.DER) for certificate in certificates(content))


def public_half(content: bytes) -> bytes:
    """The public key, PEM, in a certificate or public-key file; raises ValueError when there is none."""
    if b"-----BEGIN CERTIFICATE-----" in content:
        return public_pem(first_certificate(content).public_key())
    return public_pem(load_pem_public_key(content))
