"""What can be wrong with a backup: one type for each kind, so that who reads it knows which copy to trust next."""

from kbootstrap.errors import KbootstrapError

_NEXT = "take another one: `kbootstrap backup list` shows them"


class BackupUnusable(KbootstrapError):
    """A backup cannot be used. Nothing has been changed for it."""

    exit_code = 9

    def __init__(self, message: str, *, output: str | None = None, hint: str = _NEXT) -> None:
        super().__init__(message, output=output, hint=hint)


class BackupMissing(BackupUnusable):
    """There is no such backup, or none at all."""


class BackupIncomplete(BackupUnusable):
    """A part is missing: it was never finished, or not copied whole."""


class BackupDamaged(BackupUnusable):
    """Its content is not what was written: truncated, altered, empty."""


class WrongKey(BackupUnusable):
    """It was not encrypted for this key, or the key cannot be read."""


class WrongCluster(BackupUnusable):
    """It is of another cluster."""


class WrongVersion(BackupUnusable):
    """It was made by a version that cannot be read here."""


class Unproven(BackupUnusable):
    """It was restored in a scratch place, and is not what its manifest says."""
