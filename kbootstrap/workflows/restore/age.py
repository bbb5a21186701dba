"""Decryption with age. The private key is the user's: it is read where it is needed, and kept nowhere."""

from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]

from kbootstrap.errors import CommandFailed
from kbootstrap.workflows.restore.faults import BackupDamaged, WrongKey

_SECRET_KEY = "AGE-SECRET-KEY-"  # noqa: S105 - how such a line begins
_KEEP = "the private key belongs to one of the inventory's `backup: {recipients}`, and is not kept by the cluster"


def identities(path: Path) -> list[Any]:
    """The private keys in an age identity file, or an SSH key without a passphrase. Raises WrongKey."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise WrongKey(f"the age identity {path} cannot be read: {reason}", hint=_KEEP) from None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise WrongKey(f"the age identity {path} is empty", hint=_KEEP)
    try:
        if lines[0].startswith(_SECRET_KEY):
            return [pyrage.x25519.Identity.from_str(line) for line in lines]
        return [pyrage.ssh.Identity.from_buffer(text.encode())]
    except (pyrage.IdentityError, ValueError):  # the cause may quote the key
        raise WrongKey(
            f"{path} holds no age identity", hint="`age-keygen` makes one; it begins with AGE-SECRET-KEY-1"
        ) from None


def decrypt(encrypted: Path, plain: Path, identity: Path) -> None:
    """Writes the content of an age file to `plain`, whose folder only its owner may enter.

    Raises WrongKey when it is not for this key, BackupDamaged when it is not whole.
    """
    keys = identities(identity)
    try:
        with encrypted.open("rb") as source, plain.open("wb") as target:
            pyrage.decrypt_io(source, target, keys)
    except pyrage.DecryptError as error:
        said = str(error)
        if "no matching keys" in said.lower():
            raise WrongKey(f"{encrypted.name} was not encrypted for the key in {identity}", hint=_KEEP) from None
        raise BackupDamaged(f"{encrypted.name} cannot be decrypted", output=said) from None
    except OSError as error:
        if error.errno is not None:
            raise CommandFailed(
                f"{encrypted.name} could not be decrypted to {plain.parent}: {error.strerror}"
            ) from error
        raise BackupDamaged(f"{encrypted.name} cannot be decrypted: it was cut off or altered") from None
