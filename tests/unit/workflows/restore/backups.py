"""Makes backups in the format that hosts write, and spoils them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]

from kbootstrap.pki.authority import Pki
from kbootstrap.pki.create import create_pki
from kbootstrap.pki.files import pki_files

CLUSTER = "demo"
MADE = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
BACKUP = f"{CLUSTER}-20261121T060000Z-cp1"

Spoil = Callable[[dict[str, bytes]], None]


def leave(_members: dict[str, bytes]) -> None:
    """Spoils nothing."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Writes backups to a folder, encrypted for `identity`."""

    folder: Path
    database: bytes = b"an etcd database"
    facts: Mapping[str, Any] = field(default_factory=dict)
    pki: Pki = field(default_factory=lambda: create_pki(CLUSTER, MADE, 3650))
    key: Any = field(default_factory=pyrage.x25519.Identity.generate)

    @property
    def identity(self) -> Path:
        """The private key's file."""
        path = self.folder / "key.txt"
        path.write_text(f"# created: today\n# public key: {self.key.to_public()}\n{self.key}\n")
        return path

    def make(self, backup_id: str = BACKUP, *, spoil: Spoil = leave, after: Spoil = leave) -> Path:
        """One backup; `spoil` changes its members before their digests are taken, `after` afterwards."""
        members = {"etcd.db": self.database, "keys.tar": keys_tar(self.pki), "inventory.yml": b"cluster: {}\n"}
        spoil(members)
        manifest = {
            "kind": "kbootstrap-backup/v1",
            "id": backup_id,
            "cluster": CLUSTER,
            "cluster_id": "cdf818194e3a8c32",
            "host": "cp1",
            "made": MADE.isoformat(),
            "revision": 42,
            "keys": 7,
            "hash": 12345,
            "hashkv": None,
            "db_bytes": len(members.get("etcd.db", b"")),
            "etcd": "3.6.16",
            "kubernetes": "1.36.4",
            "files": {name: told(content) for name, content in members.items()},
            **self.facts,
        }
        members = {"manifest.json": json.dumps(manifest).encode(), **members}
        after(members)
        encrypted = pyrage.encrypt(tar_of(members), [self.key.to_public()])
        name = f"{backup_id}.tar.age"
        (self.folder / name).write_bytes(encrypted)
        (self.folder / f"{backup_id}.json").write_text(
            json.dumps({**manifest, "file": {"name": name, **told(encrypted)}})
        )
        return self.folder / name


def told(content: bytes) -> dict[str, Any]:
    """What a manifest says of a file."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def keys_tar(pki: Pki) -> bytes:
    """The cluster's own keys, by absolute names without the leading slash."""
    return tar_of({str(file.path).lstrip("/"): file.content for file in pki_files(pki)})


def tar_of(members: Mapping[str, bytes]) -> bytes:
    """A tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
