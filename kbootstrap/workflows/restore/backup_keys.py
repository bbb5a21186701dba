"""The cluster's own keys in a backup."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath

from kbootstrap.errors import PkiUnusable
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.recover import Survey, recover_pki
from kbootstrap.workflows.restore.archive import KEYS
from kbootstrap.workflows.restore.faults import BackupDamaged

BACKUP = "the backup"
"""What it is called where hosts have names."""


def backup_pki(keys: Mapping[PurePosixPath, bytes], cluster: str) -> Pki:
    """The Pki that a backup holds. Raises BackupDamaged when its files do not fit together."""
    try:
        pki = recover_pki(Survey({BACKUP: keys}), cluster, datetime.now(UTC), 1)
    except PkiUnusable as error:
        problems = "\n".join(f"{problem.file}: {problem.message}" for problem in error.problems)
        raise BackupDamaged(f"the keys in {KEYS} do not fit together", output=problems) from error
    if pki is None:
        raise BackupDamaged(f"there are no keys in {KEYS}")
    return pki
