"""Private and public keys: ECDSA on P-256.

All of Kubernetes and etcd take them, service-account tokens included (kube-apiserver signs ES256), and making one
costs microseconds where RSA costs tenths of a second.
"""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
"""RSA keys are not made, but those of an adopted cluster sign as well."""


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh private key."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: SigningKey) -> bytes:
    """A private key as unencrypted PKCS #8."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: PublicKeyTypes) -> bytes:
    """A public key as PEM; equal keys give equal bytes."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_private(pem: bytes) -> SigningKey:
    """The private key in `pem`; raises ValueError when there is none of a kind that signs here."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError("the key is encrypted") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("the key is neither ECDSA nor RSA")
    return key


def public_of(private: bytes) -> bytes:
    """The public half, PEM, of a private key; raises ValueError when `private` is none."""
    return public_pem(load_private(private).public_key())
