"""`backup rehearse`: a backup restored in a scratch place, started, read, and taken away again.

Nothing of it touches the running cluster, whose hosts are only asked for the backup and given the result.
"""

import getpass
import json
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kbootstrap.artifacts.artifact import ArtifactRef
from kbootstrap.engine.journal import now
from kbootstrap.errors import KbootstrapError
from kbootstrap.events import Note, Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.workflows.rehearsal.apiserver import read_objects, start_apiserver
from kbootstrap.workflows.rehearsal.etcd import Programs, require_contents, require_snapshot, start_member
from kbootstrap.workflows.rehearsal.scratch import Scratch
from kbootstrap.workflows.restore.archive import opened
from kbootstrap.workflows.restore.backup_keys import backup_pki
from kbootstrap.workflows.restore.faults import BackupUnusable, WrongCluster, WrongKey
from kbootstrap.workflows.restore.manifest import Manifest
from kbootstrap.workflows.restore.phases import phase
from kbootstrap.workflows.restore.private import private_folder
from kbootstrap.workflows.restore.sources import Found, Source, found
from kbootstrap.workflows.supplies import obtained


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What `ID.rehearsed.json` says. `keys` are those of etcd that are alive, `objects` are counted by kind."""

    id: str
    at: str
    by: str
    ok: bool
    seconds: float
    revision: int = 0
    keys: int = 0
    hash_compared: bool = False
    objects: dict[str, int] = field(default_factory=dict)
    error: str = ""

    def as_json(self) -> str:
        return json.dumps(asdict(self)) + "\n"


def rehearse(
    cluster: Cluster, wanted: str, origin: str | None, identity: Path, emit: Sink, targets: Sequence[Source] = ()
) -> Rehearsal:
    """Restores the backup (an id, or `latest`) and records the result beside it.

    `identity` is the age private key; `origin` as for `found`. Raises BackupUnusable for a backup that is not good,
    after it has been recorded; other errors say nothing of the backup.
    """
    began = time.monotonic()
    with found(cluster, wanted, origin, emit, targets) as backup:
        try:
            proof = _prove(cluster, backup, identity, emit)
        except BackupUnusable as error:
            if not isinstance(error, WrongKey | WrongCluster):
                said = "\n".join(part for part in (error.message, error.output) if part)
                with suppress(KbootstrapError):  # what is wrong with the backup matters more
                    _record(backup, _result(backup.listing, began, ok=False, error=said))
            raise
        result = _result(backup.listing, began, ok=True, **proof)
        _record(backup, result)
        return result


def _result(listing: Manifest, began: float, **said: object) -> Rehearsal:
    by = f"{getpass.getuser()}@{socket.gethostname()}"
    return Rehearsal(id=listing.id, at=now(), by=by, seconds=round(time.monotonic() - began, 1), **said)  # type: ignore[arg-type]


def _record(backup: Found, result: Rehearsal) -> None:
    backup.keep(f"{result.id}.rehearsed.json", result.as_json().encode())


def _prove(cluster: Cluster, backup: Found, identity: Path, emit: Sink) -> dict[str, object]:
    """What was found in it. Raises BackupUnusable."""
    with ExitStack() as stack:
        with phase(emit, "decrypt"):
            archive = stack.enter_context(opened(backup.folder, backup.listing.id, identity, cluster.name))
            pki = backup_pki(archive.keys, cluster.name)
        with phase(emit, "programs"):
            programs = _programs(cluster, archive.manifest, emit)
        scratch = Scratch(stack.enter_context(private_folder()))
        stack.callback(scratch.stop)
        with phase(emit, "snapshot"):
            require_snapshot(scratch, programs.etcdutl, archive)
        with phase(emit, "etcd"):
            member = start_member(scratch, programs, archive, pki)
            contents = require_contents(scratch, member, archive.manifest)
        with phase(emit, "apiserver"):
            api = start_apiserver(scratch, programs.apiserver, archive.keys, pki, member)
        with phase(emit, "objects"):
            objects = read_objects(api)
    if not objects["secrets"]:
        emit(Note("there is no Secret in it, so encryption at rest was not tried", level="warning"))
    return {**asdict(contents), "objects": objects}


def _programs(cluster: Cluster, manifest: Manifest, emit: Sink) -> Programs:
    wanted = {
        "etcd": ArtifactRef("etcd", manifest.etcd),
        "etcdctl": ArtifactRef("etcdctl", manifest.etcd),
        "etcdutl": ArtifactRef("etcdutl", manifest.etcd),
        "apiserver": ArtifactRef("kube-apiserver", manifest.kubernetes),
    }
    artifacts = obtained(cluster, list(wanted.values()), emit)
    return Programs(**{name: artifacts[ref].path for name, ref in wanted.items()})
