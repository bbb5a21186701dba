"""A backup in a folder of this machine: what can be told of it without the key, and what is in it.

It is taken for what it claims to be only when every digest agrees: of the encrypted file, of each member, and of what
both manifests say.
"""

import io
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from kbootstrap.artifacts.cache import sha256_of
from kbootstrap.errors import CommandFailed
from kbootstrap.pki.recover import PKI_PATHS
from kbootstrap.private import private_folder
from kbootstrap.workflows.restore.age import decrypt
from kbootstrap.workflows.restore.faults import (
    BackupDamaged,
    BackupIncomplete,
    BackupMissing,
    WrongCluster,
)
from kbootstrap.workflows.restore.manifest import Listing, Manifest, parse_listing, parse_manifest

MANIFEST = "manifest.json"
DATABASE = "etcd.db"
KEYS = "keys.tar"
INVENTORY = "inventory.yml"
MEMBERS = (MANIFEST, DATABASE, KEYS, INVENTORY)
"""What is in the encrypted tar, in this order."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A backup that was decrypted and found whole. Its files are gone when the context that opened it ends."""

    manifest: Manifest
    folder: Path
    keys: Mapping[PurePosixPath, bytes] = field(repr=False)
    """The files that make the cluster's own keys, by where they lie on a control-plane host. A host of etcd alone does
    not have all of them."""

    @property
    def database(self) -> Path:
        """What `etcdutl snapshot restore` takes."""
        return self.folder / DATABASE

    @property
    def inventory(self) -> Path:
        """The inventory as it was when the backup was made."""
        return self.folder / INVENTORY


def check(folder: Path, backup_id: str, cluster: str) -> Listing:
    """What needs no key: that it is complete, whole, and of this cluster. Raises BackupUnusable."""
    listing = read_listing(folder, backup_id)
    require_cluster(listing, cluster)
    encrypted = folder / listing.file.name
    if not encrypted.is_file():
        raise BackupIncomplete(f"{listing.file.name} is missing beside {backup_id}.json in {folder}")
    size = encrypted.stat().st_size
    if size != listing.file.bytes:
        kind = "is empty" if size == 0 else "is cut off" if size < listing.file.bytes else "is too long"
        raise BackupDamaged(f"{encrypted.name} {kind}: {size} bytes, and {listing.file.bytes} were written")
    if sha256_of(encrypted) != listing.file.sha256:
        raise BackupDamaged(f"{encrypted.name} is not what was written: its SHA-256 is another")
    return listing


def read_listing(folder: Path, backup_id: str) -> Listing:
    """`ID.json`, which is written last. Raises BackupUnusable."""
    path = folder / f"{backup_id}.json"
    try:
        listing = parse_listing(path.read_bytes(), path.name)
    except FileNotFoundError:
        if (folder / f"{backup_id}.tar.age").exists():
            raise BackupIncomplete(f"{path.name} is missing: the backup was never finished") from None
        raise BackupMissing(f"there is no backup {backup_id} in {folder}") from None
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}") from error
    if listing.id != backup_id or listing.file.name != f"{backup_id}.tar.age":
        raise BackupDamaged(f"{path.name} speaks of {listing.id} in {listing.file.name}: it was renamed or altered")
    return listing


def require_cluster(listing: Manifest, cluster: str) -> None:
    """Raises WrongCluster."""
    if listing.cluster != cluster:
        raise WrongCluster(
            f"{listing.id} is a backup of the cluster {listing.cluster!r}, not of {cluster!r}",
            hint="name the inventory of that cluster with -i",
        )


@contextmanager
def opened(
    folder: Path,
    backup_id: str,
    identity: Path,
    cluster: str,
    more_keys: Mapping[PurePosixPath, bytes] = MappingProxyType({}),
) -> Iterator[Archive]:
    """The content of a backup, in a folder that only this user may enter and that is removed at the end.

    `identity` is the age private key; `more_keys` are the cluster's own from elsewhere: those that the backup lacks
    are taken from there. Raises BackupUnusable when anything is not as it was written.
    """
    listing = check(folder, backup_id, cluster)
    with private_folder() as place:
        tar = place / "backup.tar"
        decrypt(folder / listing.file.name, tar, identity)
        _unpack(tar, place, listing)
        tar.unlink()
        yield Archive(listing.manifest, place, {**more_keys, **_key_files(place / KEYS)})


def _unpack(tar: Path, place: Path, listing: Listing) -> None:
    """Takes the members that are known, by content alone: no paths, links or modes of the archive."""
    try:
        with tarfile.open(tar, mode="r:") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                content = archive.extractfile(member) if name in MEMBERS and member.isfile() else None
                if content is not None:
                    with open(place / name, "wb", opener=_private) as target:
                        shutil.copyfileobj(content, target)
    except (tarfile.TarError, EOFError) as error:
        raise BackupDamaged(f"{listing.file.name} holds no tar archive: {error}") from None
    except OSError as error:
        raise CommandFailed(f"{listing.id} could not be unpacked in {place}: {error.strerror}") from error
    _require_members(place, listing)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _require_members(place: Path, listing: Listing) -> None:
    missing = [name for name in MEMBERS if not (place / name).exists()]
    if missing:
        raise BackupIncomplete(f"{listing.file.name} has no {', '.join(missing)} in it")
    inside = parse_manifest((place / MANIFEST).read_bytes(), f"{MANIFEST} in {listing.file.name}")
    if inside != listing.manifest:
        raise BackupDamaged(f"{listing.id}.json and the manifest in {listing.file.name} differ: one was altered")
    for name in MEMBERS[1:]:
        said = inside.files.get(name)
        if said is None:
            raise BackupDamaged(f"the manifest of {listing.id} does not say what {name} is")
        size = (place / name).stat().st_size
        if size != said.bytes or sha256_of(place / name) != said.sha256:
            raise BackupDamaged(f"{name} in {listing.file.name} is not what its manifest says ({size} bytes)")


def _key_files(tar: Path) -> dict[PurePosixPath, bytes]:
    """The cluster's own keys, as far as the host had them that made the backup. Raises BackupDamaged."""
    found: dict[PurePosixPath, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(tar.read_bytes())) as archive:
            for member in archive:
                path = PurePosixPath("/") / member.name.removeprefix("./")
                content = archive.extractfile(member) if path in PKI_PATHS and member.isfile() else None
                if content is not None:
                    found[path] = content.read()
    except (tarfile.TarError, EOFError) as error:
        raise BackupDamaged(f"{KEYS} is no tar archive: {error}") from None
    return found
