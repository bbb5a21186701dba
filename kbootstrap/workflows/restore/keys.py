"""The cluster's own keys for a restore: those of the hosts, completed and made able to read what is restored."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath

from kbootstrap.errors import PkiUnusable
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.paths import PathState
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.encryption import encryption_keys
from kbootstrap.pki.recover import PKI_PATHS, Survey, recover_pki
from kbootstrap.workflows.restore.backup_keys import BACKUP, backup_pki, require_complete
from kbootstrap.workflows.restore.faults import BackupIncomplete


def restored_keys(
    cluster: Cluster, seen: Mapping[str, Facts], kept: Mapping[PurePosixPath, bytes], now: datetime
) -> Pki:
    """The keys with which the restored cluster goes on.

    On bare hosts they are the backup's. Where hosts have keys these have to be the same; only of the encryption at
    rest there may be newer ones, which go on writing while those of the backup read. What the backup lacks may be on
    hosts. Raises PkiUnusable when they belong to another cluster, BackupIncomplete when some are nowhere, BackupDamaged
    when the backup's own do not fit together.
    """
    files = {
        host.name: {path: seen[host.name][PathState(path)].content for path in PKI_PATHS}
        for host in cluster.control_planes
        if host.name in seen
    }
    if kept.keys() >= set(PKI_PATHS):
        backup_pki(kept, cluster.name)
    there = {path for found in files.values() for path, content in found.items() if content.strip()}
    require_complete(there | kept.keys(), "what the backup and the hosts have together")
    on_hosts = any(_encryption_keys(found) for found in files.values())
    of_backup = {path: content for path, content in kept.items() if path != paths.ENCRYPTION_CONFIG or not on_hosts}
    try:
        found = recover_pki(Survey({**files, BACKUP: of_backup}), cluster.name, now, 1)
    except PkiUnusable as error:
        raise PkiUnusable(
            "the keys on the hosts are not those of the backup; nothing was changed",
            error.problems,
            hint="`up` on new hosts makes a new cluster with keys of its own: take that off with `kbootstrap reset`,"
            " then restore",
        ) from error
    if found is None:
        raise BackupIncomplete("there are no keys, neither in the backup nor on the hosts")
    readable = {found.encryption_key, *found.older_encryption_keys}
    missing = [key for key in _encryption_keys(kept) if key not in readable]
    return replace(found, older_encryption_keys=(*found.older_encryption_keys, *missing))


def _encryption_keys(files: Mapping[PurePosixPath, bytes]) -> tuple[str, ...]:
    """Those that can be read; none where there is no such file."""
    try:
        return encryption_keys(files.get(paths.ENCRYPTION_CONFIG, b""))
    except ValueError:
        return ()
