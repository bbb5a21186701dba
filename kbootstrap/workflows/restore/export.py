"""`backup export-keys`: what must be kept off the cluster, encrypted for those who may read backups.

Backups hold the cluster's own keys, where the etcd hosts have them. Hosts of etcd alone do not; and the way to the
targets is on the control machine only. One file has it all, and a copy of it can lie beside the age private key's.
"""

import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pyrage  # type: ignore[import-untyped]

from kbootstrap.artifacts.cache import sha256_of
from kbootstrap.errors import InvalidInput, PreflightFailed
from kbootstrap.events import Note, Sink
from kbootstrap.facts.pki import gather_pki
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki.files import pki_files
from kbootstrap.pki.recover import PKI_PATHS
from kbootstrap.private import private_folder
from kbootstrap.workflows.access import reached, require_all
from kbootstrap.workflows.backups.hosts import require_configured
from kbootstrap.workflows.restore.age import decrypt
from kbootstrap.workflows.restore.faults import BackupDamaged, WrongCluster
from kbootstrap.workflows.supplies import named_files
from kbootstrap.workflows.survey import first_look

KIND = "kbootstrap-keys/v1"
NOTE = "export.json"
INVENTORY = "inventory.yml"
TARGETS = PurePosixPath("targets")
"""Folder of the targets' secrets: `targets/NAME/OPTION`."""


@dataclass(frozen=True, slots=True)
class Export:
    """The file that was written, and the names of what is in it."""

    file: Path
    sha256: str
    names: tuple[str, ...]


def export_keys(cluster: Cluster, folder: Path, emit: Sink) -> Export:
    """Reads the keys from the control-plane hosts, and writes one encrypted file that only its owner can read.

    Raises InvalidInput, PreflightFailed where there is no cluster yet, PkiUnusable where its keys do not agree.
    """
    require_configured(cluster)
    moment = datetime.now(UTC)
    members = _members(cluster, moment, emit)
    recipients = [pyrage.x25519.Recipient.from_str(key) for key in cluster.settings.backup.recipients]
    path = folder / f"{cluster.name}-keys-{moment:%Y%m%dT%H%M%SZ}.tar.age"
    _write(path, pyrage.encrypt(_tar(members), recipients))
    return Export(path, sha256_of(path), tuple(members))


def _members(cluster: Cluster, moment: datetime, emit: Sink) -> dict[str, bytes]:
    with reached(cluster, cluster.control_planes) as (connections, failures):
        if not connections:
            require_all(failures)
        for failure in failures.values():
            emit(Note(f"cannot be asked: {failure.message}", host=failure.host, level="warning"))
        looks = first_look(cluster, connections)
    # It refuses where a host that was not asked may have what the others lack.
    pki = gather_pki(cluster, {name: look.facts for name, look in looks.items()}, moment)
    if pki is None:
        raise PreflightFailed("the control-plane hosts have no keys: there is no cluster yet", hint="kbootstrap up")
    note = {"kind": KIND, "cluster": cluster.name, "made": moment.isoformat(timespec="seconds")}
    return {
        NOTE: json.dumps(note).encode(),
        **{str(file.path).lstrip("/"): file.content for file in pki_files(pki)},
        INVENTORY: cluster.inventory.encode(),
        **_target_secrets(cluster),
    }


def _target_secrets(cluster: Cluster) -> dict[str, bytes]:
    files = named_files(cluster)
    return {
        str(TARGETS / name / option): files[source.file]
        for name, target in cluster.settings.backup.targets.items()
        for option, source in target.secrets.items()
    }


def _tar(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all; nobody but its owner can read it at any time."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error


def exported_keys(file: Path, identity: Path, cluster: str) -> dict[PurePosixPath, bytes]:
    """The cluster's own keys in an export, by where they lie on a control-plane host. Raises BackupUnusable."""
    with private_folder() as place:
        plain = place / "export.tar"
        try:
            decrypt(file, plain, identity)
            members = dict(_read(plain))
            note = json.loads(members[NOTE])
            if note["kind"] != KIND:
                raise ValueError(f"its kind is {note['kind']!r}")
        except (tarfile.TarError, EOFError, LookupError, TypeError, ValueError) as error:
            raise BackupDamaged(
                f"{file} is no export of keys: {error}", hint="`backup export-keys` makes one"
            ) from None
    if note["cluster"] != cluster:
        raise WrongCluster(f"{file} has the keys of the cluster {note['cluster']!r}, not of {cluster!r}")
    found = {PurePosixPath("/") / name: content for name, content in members.items()}
    return {path: found[path] for path in PKI_PATHS if path in found}


def _read(tar: Path) -> Iterable[tuple[str, bytes]]:
    with tarfile.open(tar, mode="r:") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name.removeprefix("./"), content.read()
