"""A new cluster's key material."""

import base64
import secrets
from datetime import datetime

from kbootstrap.pki.authority import KeyPair, Pki
from kbootstrap.pki.issue import create_authority
from kbootstrap.pki.keys import new_key, private_pem, public_pem

KUBERNETES_CA = "kubernetes-ca"
ETCD_CA = "etcd-ca"
FRONT_PROXY_CA = "kubernetes-front-proxy-ca"
"""The authorities' common names, as the Kubernetes documentation has them."""

ENCRYPTION_KEY_BYTES = 32
"""What secretbox (XSalsa20 and Poly1305) takes."""


def create_pki(cluster_name: str, now: datetime, days: int) -> Pki:
    """All that a new cluster needs; the authorities are valid for `days` days."""
    return Pki(
        kubernetes=create_authority(KUBERNETES_CA, cluster_name, now, days),
        etcd=create_authority(ETCD_CA, cluster_name, now, days),
        front_proxy=create_authority(FRONT_PROXY_CA, cluster_name, now, days),
        service_account=create_key_pair(),
        encryption_key=create_encryption_key(),
    )


def create_key_pair() -> KeyPair:
    """A signer of service-account tokens."""
    key = new_key()
    return KeyPair(public_pem(key.public_key()), private_pem(key))


def create_encryption_key() -> str:
    """A key for encryption at rest, base64."""
    return base64.b64encode(secrets.token_bytes(ENCRYPTION_KEY_BYTES)).decode()
