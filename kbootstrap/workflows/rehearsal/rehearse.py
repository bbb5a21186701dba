"""`backup rehearse`: a backup restored in a scratch place, started, read, and taken away again.

Nothing of it touches the running cluster, whose hosts are only asked for the backup and given the result.
"""

import getpass
import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kbootstrap.artifacts.artifact import ArtifactRef
from kbootstrap.engine.journal import now
from kbootstrap.errors import InvalidInput, KbootstrapError
from kbootstrap.events import Note, Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.private import private_folder
from kbootstrap.workflows.access import opened as opened_hosts
from kbootstrap.workflows.rehearsal.apiserver import read_objects, start_apiserver
from kbootstrap.workflows.rehearsal.etcd import Programs, require_contents, require_snapshot, start_member
from kbootstrap.workflows.rehearsal.on_host import host_scratch
from kbootstrap.workflows.rehearsal.scratch import Place, Scratch
from kbootstrap.workflows.restore.archive import opened
from kbootstrap.workflows.restore.backup_keys import backup_pki
from kbootstrap.workflows.restore.export import exported_keys
from kbootstrap.workflows.restore.faults import BackupUnusable, WrongCluster, WrongKey
from kbootstrap.workflows.restore.manifest import Manifest
from kbootstrap.workflows.restore.phases import phase
from kbootstrap.workflows.restore.sources import LATEST, Found, Source, found
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


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for: a backup (an id, or `latest`), and from where (as for `found`).

    `identity` is the age private key. `keys` is an export of the cluster's own keys, for a backup that lacks them.
    `on` names a host to do it on; without it, it is done here.
    """

    identity: Path
    wanted: str = LATEST
    origin: str | None = None
    targets: Sequence[Source] = ()
    keys: Path | None = None
    on: str | None = None


def rehearse(cluster: Cluster, order: Order, emit: Sink) -> Rehearsal:
    """Restores the backup and records the result beside it. Raises BackupUnusable for a backup that is not good,
    after it has been recorded; other errors say nothing of the backup.
    """
    began = time.monotonic()
    with found(cluster, order.wanted, order.origin, emit, order.targets) as backup:
        try:
            proof = _prove(cluster, backup, order, emit)
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


def _prove(cluster: Cluster, backup: Found, order: Order, emit: Sink) -> dict[str, object]:
    """What was found in it. Raises BackupUnusable."""
    with ExitStack() as stack:
        with phase(emit, "decrypt"):
            more = exported_keys(order.keys, order.identity, cluster.name) if order.keys else {}
            identifier = backup.listing.id
            archive = stack.enter_context(opened(backup.folder, identifier, order.identity, cluster.name, more))
            manifest, pki = archive.manifest, backup_pki(archive.keys, cluster.name)
        with phase(emit, "programs"):
            here = _programs(cluster, manifest, emit)
            scratch = stack.enter_context(_place(cluster, order.on, manifest))
            programs, database = here.at(scratch), scratch.bring(archive.database)
        with phase(emit, "snapshot"):
            require_snapshot(scratch, programs.etcdutl, database, manifest)
        with phase(emit, "etcd"):
            member = start_member(scratch, programs, database, manifest, pki)
            contents = require_contents(scratch, member, manifest)
        with phase(emit, "apiserver"):
            api = start_apiserver(scratch, programs.apiserver, archive.keys, pki, member)
        with phase(emit, "objects"):
            objects = read_objects(api)
    if not objects["secrets"]:
        emit(Note("there is no Secret in it, so encryption at rest was not tried", level="warning"))
    return {**asdict(contents), "objects": objects}


@contextmanager
def _place(cluster: Cluster, on: str | None, manifest: Manifest) -> Iterator[Place]:
    """Here, or on a host. Raises InvalidInput for one that is not in the inventory."""
    if on is None:
        with private_folder() as folder:
            scratch = Scratch(folder)
            try:
                yield scratch
            finally:
                scratch.stop()
        return
    host = next((host for host in cluster.hosts if host.name == on), None)
    if host is None:
        raise InvalidInput(f"--on: no host is called {on}")
    with opened_hosts(cluster, [host]) as connections, host_scratch(connections[on], manifest.db_bytes) as place:
        yield place


def _programs(cluster: Cluster, manifest: Manifest, emit: Sink) -> Programs:
    wanted = {
        "etcd": ArtifactRef("etcd", manifest.etcd),
        "etcdctl": ArtifactRef("etcdctl", manifest.etcd),
        "etcdutl": ArtifactRef("etcdutl", manifest.etcd),
        "apiserver": ArtifactRef("kube-apiserver", manifest.kubernetes),
    }
    artifacts = obtained(cluster, list(wanted.values()), emit)
    return Programs(**{name: artifacts[ref].path for name, ref in wanted.items()})
