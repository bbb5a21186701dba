"""The cluster's own keys in a backup."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath

from kbootstrap.errors import PkiUnusable
from kbootstrap.pki import paths
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.recover import PKI_PATHS, Survey, recover_pki
from kbootstrap.workflows.restore.archive import KEYS
from kbootstrap.workflows.restore.faults import BackupDamaged, BackupIncomplete

BACKUP = "the backup"
"""What it is called where hosts have names."""


def require_complete(found: Collection[PurePosixPath], where: str) -> None:
    """Raises BackupIncomplete when something is missing that cannot be made anew."""
    missing = [str(path) for path in PKI_PATHS if path not in found and path != paths.SERVICE_ACCOUNT_PUBLIC]
    if missing:
        raise BackupIncomplete(
            f"{where} lacks {', '.join(missing)}: what is encrypted could not be read again",
            hint="a host of etcd alone does not have these: --keys takes what `kbootstrap backup export-keys` wrote",
        )


def backup_pki(keys: Mapping[PurePosixPath, bytes], cluster: str) -> Pki:
    """The Pki that a backup holds. Raises BackupIncomplete, or BackupDamaged when its files do not fit together."""
    require_complete(keys, KEYS)
    try:
        pki = recover_pki(Survey({BACKUP: keys}), cluster, datetime.now(UTC), 1)
    except PkiUnusable as error:
        problems = "\n".join(f"{problem.file}: {problem.message}" for problem in error.problems)
        raise BackupDamaged(f"the keys in {KEYS} do not fit together", output=problems) from error
    if pki is None:
        raise BackupDamaged(f"there are no keys in {KEYS}")
    return pki
