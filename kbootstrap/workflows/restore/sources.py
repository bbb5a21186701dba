"""Where backups lie: a folder of this machine, a host's own folder, a target; and getting one from there."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from kbootstrap.components.backup import FOLDER, PROGRAM
from kbootstrap.errors import CommandFailed, KbootstrapError
from kbootstrap.events import Note, Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.private import private_folder
from kbootstrap.steps.step import quote
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import reached
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.restore.archive import read_listing
from kbootstrap.workflows.restore.faults import BackupMissing
from kbootstrap.workflows.restore.manifest import Listing

LATEST = "latest"
_CHUNK = 32 * 2**20
"""Bytes that are fetched from a host at once: half of what a connection takes in."""
_CHUNK_SECONDS = 600.0

Keep = Callable[[str, bytes], None]


class Source(Protocol):
    """A place with backups."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def names(self) -> Sequence[str]:
        """The names of its files."""
        ...

    def fetch(self, name: str, target: Path) -> None:
        """Copies a file to this machine. Raises KbootstrapError."""
        ...

    def keep(self, name: str, content: bytes) -> None:
        """Writes a small file, whole or not at all."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def names(self) -> Sequence[str]:
        try:
            return [entry.name for entry in self.path.iterdir() if entry.is_file()]
        except OSError as error:
            raise BackupMissing(f"the folder {self.path} cannot be read: {error.strerror}") from error

    def fetch(self, name: str, target: Path) -> None:
        """A link is enough: it is only read."""
        if (self.path / name).exists():
            target.symlink_to((self.path / name).absolute())

    def keep(self, name: str, content: bytes) -> None:
        temporary = self.path / f".{name}.new"
        try:
            temporary.write_bytes(content)
            temporary.replace(self.path / name)
        except OSError as error:
            raise CommandFailed(f"{self.path / name} cannot be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class HostFolder:
    """A folder of a host."""

    connection: Connection
    path: PurePosixPath = FOLDER

    @property
    def name(self) -> str:
        return f"{self.connection.name}:{self.path}"

    def names(self) -> Sequence[str]:
        return self.connection.run(f"ls -1 {quote(self.path)} 2>/dev/null || true").text.split()

    def fetch(self, name: str, target: Path) -> None:
        path = quote(self.path / name)
        size = self.connection.run(f"stat --format=%s {path} 2>/dev/null || true").text
        if not size.isdigit():
            return
        with target.open("wb") as file:
            for number in range(-(-int(size) // _CHUNK)):
                chunk = f"dd if={path} bs={_CHUNK} skip={number} count=1 iflag=fullblock status=none"
                done = self.connection.run(chunk, timeout=_CHUNK_SECONDS).require(f"{name} cannot be read")
                file.write(done.stdout)

    def keep(self, name: str, content: bytes) -> None:
        """The host's own program, where it is, brings it to every place that has the backup."""
        backup_id, _, kind = name.removesuffix(".json").rpartition(".")
        note = f"[ -x {PROGRAM} ] && {PROGRAM} note {quote(backup_id)} {quote(kind)}"
        if not self.connection.run(note, stdin=content, timeout=_CHUNK_SECONDS).ok:
            self.connection.put(content, str(self.path / name))


@dataclass(frozen=True, slots=True)
class Found:
    """A backup that was found and brought to this machine."""

    listing: Listing
    where: str
    folder: Path
    """Has `ID.json` and `ID.tar.age` as they lie there."""
    keep: Keep
    """Writes a small file beside it, where it came from."""


@contextmanager
def found(
    cluster: Cluster, wanted: str, origin: str | None, emit: Sink, targets: Sequence[Source] = ()
) -> Iterator[Found]:
    """The backup with the id `wanted`, or the latest; fetched to this machine for as long as this is open.

    `origin` is a folder here, a host's or a target's name; without it the hosts are asked, then the targets. Raises
    BackupMissing.
    """
    with ExitStack() as stack:
        sources = _sources(cluster, origin, targets, emit, stack)
        source, backup_id = choose(cluster.name, wanted, sources, emit)
        folder = stack.enter_context(private_folder())
        emit(Note(f"{backup_id} from {source.name}"))
        for name in (f"{backup_id}.json", f"{backup_id}.tar.age"):
            source.fetch(name, folder / name)
        yield Found(read_listing(folder, backup_id), source.name, folder, source.keep)


def _sources(
    cluster: Cluster, origin: str | None, targets: Sequence[Source], emit: Sink, stack: ExitStack
) -> list[Source]:
    hosts = {host.name: host for host in cluster.etcd_members}
    named = [target for target in targets if target.name == origin]
    if named:
        return named
    if origin is not None and origin not in hosts:
        return [Folder(Path(origin).expanduser())]
    asked = [hosts[origin]] if origin else list(hosts.values())
    connections, failures = stack.enter_context(reached(cluster, asked))
    for failure in failures.values():
        emit(Note(f"cannot be asked for backups: {failure.message}", host=failure.host, level="warning"))
    return [*(HostFolder(connection) for connection in connections.values()), *targets]


def choose(cluster: str, wanted: str, sources: Sequence[Source], emit: Sink) -> tuple[Source, str]:
    """Which backup is meant, and the first source that has it. Raises BackupMissing."""
    asked = on_all({source.name: source for source in sources}, lambda _name, source: _complete(source, emit))
    ours = re.compile(rf"{re.escape(cluster)}-(\d{{8}}T\d{{6}}Z)-[a-z0-9-]+")
    offers = [(source, name) for source in sources for name in asked[source.name]]
    if wanted == LATEST:
        times = {name: match[1] for _, name in offers if (match := ours.fullmatch(name))}
        wanted = max(times, key=lambda name: times[name], default=LATEST)
    for source, name in offers:
        if name == wanted:
            return source, name
    return _unfinished(wanted, sources, offers)


def _complete(source: Source, emit: Sink) -> list[str]:
    """The ids of what was finished: their `ID.json` is written last."""
    try:
        names = source.names()
    except BackupMissing:
        raise
    except KbootstrapError as error:
        emit(Note(f"{source.name}: {error.message}", level="warning"))
        return []
    there = set(names)
    return [name.removesuffix(".tar.age") for name in names if f"{name.removesuffix('.tar.age')}.json" in there
            and name.endswith(".tar.age")]  # fmt: skip


def _unfinished(wanted: str, sources: Sequence[Source], offers: Sequence[tuple[Source, str]]) -> tuple[Source, str]:
    """A backup that somebody names is taken up also where it is incomplete: what is wrong with it is told then."""
    if wanted != LATEST:
        for source in sources:
            if any(name in (f"{wanted}.json", f"{wanted}.tar.age") for name in source.names()):
                return source, wanted
    places = ", ".join(source.name for source in sources) or "no host could be asked"
    has = ", ".join(sorted({name for _, name in offers})) or "nothing that is complete"
    raise BackupMissing(
        f"there is no backup {'of this cluster' if wanted == LATEST else wanted}",
        output=f"looked in: {places}\nfound: {has}",
        hint="--from names a folder, a host or a target; `kbootstrap backup list` shows what there is",
    )
