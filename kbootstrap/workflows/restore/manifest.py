"""What a backup says of itself: `manifest.json` inside, and the same with the file's digest beside it, in clear."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from kbootstrap.workflows.restore.faults import BackupDamaged, WrongVersion

KIND = "kbootstrap-backup/v1"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0)]


class _Read(BaseModel):
    """Keys that a later version adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Member(_Read):
    """A file: its SHA-256 and its length in bytes."""

    sha256: Digest
    bytes: Size


class File(Member):
    """The encrypted file, by name."""

    name: str


class HashKv(_Read):
    """etcd's own hash of its keys at a revision, as its members gave it.

    It covers what has been written since `compact_revision`, so that only hashes with the same one can be compared.
    """

    revision: int
    hash: int
    compact_revision: int | None = None
    members: Mapping[str, int] = {}


class Manifest(_Read):
    """What was backed up, where, when, and how to tell that it is all there."""

    kind: Literal["kbootstrap-backup/v1"]
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-zA-Z0-9.-]*$")]
    cluster: str
    cluster_id: str
    host: str
    made: AwareDatetime
    revision: int
    keys: int
    hash: int
    hashkv: HashKv | None = None
    db_bytes: Size
    etcd: str
    kubernetes: str
    files: Mapping[str, Member]

    def age(self, now: datetime) -> float:
        """Seconds since it was made."""
        return (now - self.made).total_seconds()


class Listing(Manifest):
    """A manifest as it lies beside the encrypted file."""

    file: File

    @property
    def manifest(self) -> Manifest:
        """What has to be in the encrypted file too."""
        return Manifest.model_validate(self.model_dump(exclude={"file"}))


_Kind = TypeVar("_Kind", bound=Manifest)


def parse_manifest(content: bytes, name: str) -> Manifest:
    """Reads `manifest.json`. Raises BackupDamaged, or WrongVersion."""
    return _parsed(Manifest, content, name)


def parse_listing(content: bytes, name: str) -> Listing:
    """Reads `ID.json`. Raises BackupDamaged, or WrongVersion."""
    return _parsed(Listing, content, name)


def _parsed(model: type[_Kind], content: bytes, name: str) -> _Kind:
    if not content.strip():
        raise BackupDamaged(f"{name} is empty")
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
    if any((detail["loc"], detail["type"]) == (("kind",), "literal_error") for detail in details):
        raise WrongVersion(f"{name} is not of the kind {KIND}", hint="read it with the version that made it")
    said = "; ".join(f"{'.'.join(map(str, detail['loc'])) or 'it'}: {detail['msg']}" for detail in details)
    raise BackupDamaged(f"{name} is not a backup's manifest", output=said)
