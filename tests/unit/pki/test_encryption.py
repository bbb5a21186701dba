import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from kbootstrap.pki.create import create_encryption_key, create_pki
from kbootstrap.pki.encryption import encryption_config, encryption_keys

PKI = create_pki("demo", datetime(2026, 8, 1, tzinfo=UTC), 3650)


def test_the_first_provider_writes() -> None:
    (on,) = yaml.safe_load(encryption_config(PKI))["resources"]
    (off,) = yaml.safe_load(encryption_config(PKI, encrypt=False))["resources"]
    assert on["resources"] == ["secrets"]
    assert [next(iter(provider)) for provider in on["providers"]] == ["secretbox", "identity"]
    assert off["providers"] == on["providers"][::-1]
    assert len(base64.b64decode(on["providers"][0]["secretbox"]["keys"][0]["secret"])) == 32


def test_a_key_keeps_its_name_when_another_takes_over() -> None:
    """What is stored begins with the name of its key."""
    rotated = replace(PKI, encryption_key=create_encryption_key(), older_encryption_keys=(PKI.encryption_key,))
    before = yaml.safe_load(encryption_config(PKI))["resources"][0]["providers"][0]["secretbox"]["keys"]
    after = yaml.safe_load(encryption_config(rotated))["resources"][0]["providers"][0]["secretbox"]["keys"]
    assert after[1:] == before
    assert after[0]["name"] != after[1]["name"]
    assert encryption_keys(encryption_config(rotated)) == (rotated.encryption_key, PKI.encryption_key)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no EncryptionConfiguration"),
        (b"[1, 2", "no EncryptionConfiguration"),
        (b"resources: [{providers: [{secretbox: {keys: [{}]}}]}]", "no EncryptionConfiguration"),
        (b"resources: [{providers: [{identity: {}}]}]", "it has no key"),
        (b"resources: [{providers: [{aescbc: {keys: []}}]}]", "it uses aescbc"),
        (b"resources: [{providers: [{secretbox: {keys: [{name: key1, secret: c2VjcmV0}]}}]}]", "names"),
    ],
)
def test_what_was_not_written_here_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        encryption_keys(content)


def test_the_error_quotes_no_secret() -> None:
    config = json.loads(encryption_config(PKI))
    config["resources"][0]["providers"][0]["secretbox"]["keys"][0]["name"] = "mine"
    with pytest.raises(ValueError, match="names") as raised:
        encryption_keys(json.dumps(config).encode())
    assert PKI.encryption_key not in str(raised.value)
