"""The EncryptionConfiguration: the keys of encryption at rest, written and read back."""

import hashlib
import json
from typing import Any

import yaml

from kbootstrap.pki.authority import Pki


def encryption_config(pki: Pki, *, encrypt: bool = True) -> bytes:
    """The file for `--encryption-provider-config`: the first key writes, the others still read.

    With `encrypt` off, Secrets are written plain, and the keys stay for what was stored before. So the file is the
    same place for the keys either way, and encryption can be turned on and off.
    """
    keys = [{"name": key_name(secret), "secret": secret} for secret in (pki.encryption_key, *pki.older_encryption_keys)]
    providers: list[dict[str, Any]] = [{"secretbox": {"keys": keys}}, {"identity": {}}]
    config = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers if encrypt else providers[::-1]}],
    }
    return (json.dumps(config, indent=2) + "\n").encode()


def key_name(secret: str) -> str:
    """A key's name: what is stored begins with it, so it must stay the same when keys come and go."""
    return f"key-{hashlib.sha256(secret.encode()).hexdigest()[:8]}"


def encryption_keys(content: bytes) -> tuple[str, ...]:
    """The keys in an EncryptionConfiguration, the one that writes first.

    Raises ValueError for a file that `encryption_config` cannot have written: to write it anew would make what is
    stored unreadable.
    """
    try:
        config = yaml.safe_load(content)
        providers = [item for resource in config["resources"] for item in resource["providers"]]
        kinds = {kind for provider in providers for kind in provider}
        keys = [key for provider in providers for key in (provider.get("secretbox") or {}).get("keys", ())]
        named = [(str(key["name"]), str(key["secret"])) for key in keys]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise ValueError("it is no EncryptionConfiguration") from None  # the cause may quote a secret
    if kinds - {"secretbox", "identity"}:
        raise ValueError(f"it uses {', '.join(sorted(kinds - {'secretbox', 'identity'}))}")
    if not named:
        raise ValueError("it has no key")
    if any(name != key_name(secret) for name, secret in named):
        raise ValueError("its keys have names that kbootstrap does not give")
    return tuple(secret for _, secret in named)
