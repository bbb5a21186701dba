"""The note on a host that a restore is under way there, or was: what is needed to go on with it, or to undo it."""

from contextlib import suppress
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError

from kbootstrap.components import etcd
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.paths import PathState

MARKS = PurePosixPath("/var/lib/kbootstrap")
UNDER_WAY = MARKS / "restore-under-way.json"
"""As long as it is there, the apiserver of its host does not start."""
DONE = MARKS / "restored.json"

RECORD_FACTS = (PathState(UNDER_WAY), PathState(DONE))


class Record(BaseModel):
    """One restore. `run` is the run that began it, and makes the new cluster's token."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    backup: str
    run: str
    began: str

    @property
    def aside(self) -> PurePosixPath:
        """Where the data from before lie: on the same file system, so that nothing has to be copied."""
        return etcd.DATA / f"before-{self.run}"


def under_way(seen: Facts) -> Record | None:
    """The restore that was begun on a host and not ended."""
    return _read(seen, UNDER_WAY)


def done(seen: Facts) -> Record | None:
    """The last restore that was ended on a host."""
    return _read(seen, DONE)


def _read(seen: Facts, path: PurePosixPath) -> Record | None:
    with suppress(ValidationError):
        return Record.model_validate_json(seen[PathState(path)].content)
    return None
