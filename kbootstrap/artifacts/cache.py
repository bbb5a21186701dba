"""The content-addressed store of artifacts on the control machine."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

from kbootstrap.artifacts.artifact import Artifact, ArtifactKind, ArtifactRef
from kbootstrap.artifacts.index import Entry, Index
from kbootstrap.artifacts.locks import locked
from kbootstrap.errors import ArtifactError

_MODES = {ArtifactKind.BINARY: 0o555, ArtifactKind.IMAGE: 0o444, ArtifactKind.PACKAGE: 0o444}


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the cache, and whether it is still what it was when it came."""

    artifact: Artifact
    made_from: str
    sound: bool


class Cache:
    """Files by SHA-256 below `root`, and an index that says what they are.

    A file gets its final name only when it is complete, so that whatever ends the process leaves nothing half
    done. What is in the index is trusted while its size and time of change stay the same.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = root / "sha256"
        self._index = Index(root / "index.json")

    def find(self, wanted: Mapping[ArtifactRef, Iterable[str]]) -> dict[ArtifactRef, Artifact]:
        """What is here of the wanted artifacts, each looked for under its keys in order.

        A file whose size or time of change is not the recorded one is hashed again; a damaged one is dropped.
        """
        entries = self._index.read()
        found = {}
        for ref, keys in wanted.items():
            artifact = next(filter(None, (self._usable(key, entries.get(key)) for key in keys)), None)
            if artifact is not None:
                found[ref] = artifact
        return found

    def add(
        self, key: str, ref: ArtifactRef, file: Path, *, reference: str | None = None, made_from: str = ""
    ) -> Artifact:
        """Moves a complete file, which must be on the cache's own file system, into the store."""
        sha256 = sha256_of(file)
        self._objects.mkdir(parents=True, exist_ok=True)
        file.chmod(_MODES[ref.kind])
        _sync(file)
        path = self._objects / sha256
        file.replace(path)
        stat = path.stat()
        entry = Entry(ref.name, ref.version, ref.kind, sha256, stat.st_size, stat.st_mtime_ns, reference, made_from)
        with self._index.change() as entries:
            entries[key] = entry
        return self._artifact(entry)

    def discard(self, sha256: str) -> None:
        """Forgets a file, e.g. one that arrived on a host with another digest; the next need gets it anew."""
        with self._index.change() as entries:
            for key in [key for key, entry in entries.items() if entry.sha256 == sha256]:
                del entries[key]
            (self._objects / sha256).unlink(missing_ok=True)

    def verify(self, watch: Callable[[Artifact], None] = lambda _artifact: None) -> list[Stored]:
        """Hashes every file again and drops the damaged ones; `watch` is called before each."""
        results = []
        for entry in list({entry.sha256: entry for entry in self._index.read().values()}.values()):
            artifact = self._artifact(entry)
            watch(artifact)
            sound = artifact.path.exists() and sha256_of(artifact.path) == entry.sha256
            if not sound:
                self.discard(entry.sha256)
            results.append(Stored(artifact, entry.made_from, sound))
        return results

    def contents(self) -> list[Stored]:
        """Everything in the index, without hashing it."""
        entries = self._index.read().values()
        return [Stored(self._artifact(entry), entry.made_from, self._unchanged(entry)) for entry in entries]

    @contextmanager
    def workplace(self, name: str, deadline: float, waiting: Callable[[], None]) -> Iterator[Path]:
        """An empty folder on the cache's file system, for one process at a time per `name`.

        What killed processes left in theirs is removed first. `waiting` is called again and again while
        somebody else works on the same; `deadline` (seconds) bounds that wait.
        """
        with locked(self.root / "locks" / name, deadline, waiting):
            places = self.root / "work"
            places.mkdir(parents=True, exist_ok=True)
            for left in places.glob(f"{name}~*"):
                shutil.rmtree(left, ignore_errors=True)
            place = Path(mkdtemp(dir=places, prefix=f"{name}~"))
            try:
                yield place
            finally:
                shutil.rmtree(place, ignore_errors=True)

    def _usable(self, key: str, entry: Entry | None) -> Artifact | None:
        if entry is None:
            return None
        if not self._unchanged(entry) and not self._restore(key, entry):
            return None
        return self._artifact(entry)

    def _unchanged(self, entry: Entry) -> bool:
        try:
            stat = (self._objects / entry.sha256).stat()
        except FileNotFoundError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (entry.size, entry.mtime_ns)

    def _restore(self, key: str, entry: Entry) -> bool:
        """Whether a touched file still has its digest; the index is put right either way."""
        path = self._objects / entry.sha256
        if not path.exists() or sha256_of(path) != entry.sha256:
            self.discard(entry.sha256)
            return False
        stat = path.stat()
        with self._index.change() as entries:
            entries[key] = replace(entry, size=stat.st_size, mtime_ns=stat.st_mtime_ns)
        return True

    def _artifact(self, entry: Entry) -> Artifact:
        ref = ArtifactRef(entry.name, entry.version, ArtifactKind(entry.kind))
        return Artifact(ref, entry.sha256, entry.size, self._objects / entry.sha256, entry.reference)


def default_cache() -> Cache:
    """The user's cache: `kbootstrap/artifacts` in XDG_CACHE_HOME, or in `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return Cache((Path(base) if base else Path.home() / ".cache") / "kbootstrap" / "artifacts")


def sha256_of(path: Path) -> str:
    """A file's SHA-256 in hex; raises ArtifactError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
