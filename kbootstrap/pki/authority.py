"""What signs certificates, and what a cluster's whole key material is."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: its certificate and private key, PEM."""

    certificate: bytes
    """Where there are several, the first signs and the others are trusted too."""
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key pair without a certificate, PEM."""

    public: bytes
    private: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pki:
    """A cluster's own secrets: three authorities, the service-account signer, the key of encryption at rest.

    They lie on every control-plane host and nowhere else (certificates of the authorities excepted).
    """

    kubernetes: Authority
    etcd: Authority
    front_proxy: Authority
    service_account: KeyPair
    encryption_key: str = field(repr=False)
    """32 random bytes, base64, for secretbox."""
    older_encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    """Keys that only read: what was stored before the key was changed may still need them."""
