"""What the files in the cache are: a JSON file that is read often and replaced whole."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from kbootstrap.artifacts.locks import locked

_FORMAT = 1
_LOCK_DEADLINE = 30.0
"""Seconds to wait for another process that is writing the index, which takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the cache.

    Size (bytes) and time of change (nanoseconds) are those it had when its digest was last known to be right.
    `made_from` says in words what it was made from, for people.
    """

    name: str
    version: str
    kind: str
    sha256: str
    size: int
    mtime_ns: int
    reference: str | None = None
    made_from: str = ""


class Index:
    """Entries by key; a key says what a file's content follows from."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Entry]:
        """Every entry. An index that is missing, damaged or of another format is an empty one."""
        with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
            stored = json.loads(self._path.read_bytes())
            if stored["format"] == _FORMAT:
                return {key: Entry(**fields) for key, fields in stored["entries"].items()}
        return {}

    @contextmanager
    def change(self) -> Iterator[dict[str, Entry]]:
        """The entries, to be changed in place; written when the block ends without an error."""
        with locked(self._path.with_suffix(".lock"), _LOCK_DEADLINE):
            entries = self.read()
            yield entries
            self._write(entries)

    def _write(self, entries: Mapping[str, Entry]) -> None:
        stored = {"format": _FORMAT, "entries": {key: asdict(entry) for key, entry in entries.items()}}
        with NamedTemporaryFile("w", dir=self._path.parent, prefix="index.", delete=False) as file:
            json.dump(stored, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self._path)
