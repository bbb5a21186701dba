"""Certificates as text."""

import re
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

PEM = Encoding.PEM

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


def certificates(content: bytes) -> Iterator[x509.Certificate]:
    """Every certificate in `content`, in order, whatever stands between them; raises ValueError at a broken one."""
    for block in _CERTIFICATE.findall(content):
        yield x509.load_pem_x509_certificate(block)


def first_certificate(content: bytes) -> x509.Certificate:
    """The first certificate in `content`; raises ValueError when there is none."""
    for certificate in certificates(content):
        return certificate
    raise ValueError("no certificate")
