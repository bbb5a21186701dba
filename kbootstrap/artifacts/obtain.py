"""The one way to an artifact: the cache, else a source."""

import errno
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event as Flag
from threading import Lock, Semaphore

from kbootstrap.artifacts.artifact import Artifact, ArtifactKind, ArtifactRef
from kbootstrap.artifacts.build import BuildSource
from kbootstrap.artifacts.cache import Cache
from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.artifacts.release import ReleaseSource
from kbootstrap.artifacts.source import Job, Origin, Source, SourceSettings
from kbootstrap.artifacts.transfer import Unavailable
from kbootstrap.errors import ArtifactError
from kbootstrap.events import Event, Note, Progress, Sink, ignore

_JOBS_AT_ONCE = 8
"""Downloads mostly wait."""
_BUILDS_AT_ONCE = 2
"""A build has every core busy while it compiles and one while it links: two fill each other's gaps."""
_MEGABYTE = 1_000_000


def obtain(
    wanted: Sequence[ArtifactRef], settings: SourceSettings, cache: Cache, emit: Sink = ignore
) -> dict[ArtifactRef, Artifact]:
    """The files of the wanted artifacts, from the cache or from the source that the settings name.

    Images that the hosts are to pull from their registry are missing in the answer: all where the settings say so;
    else, with origin `release` or with `auto` where the registry answers, those that the cache does not have. Raises
    ArtifactError with a remedy.
    """
    run = _Run(settings, cache, emit)
    jobs = [job for job in _jobs(wanted, settings.arch) if not _is_image(job) or settings.images != "registry"]
    with _plain_errors("the cache", cache.root):
        found = run.cached(jobs)
    missing = [left for job in jobs if (left := _without(job, found)) is not None]
    if missing:
        found |= run.fill(missing)
    return found


def _jobs(wanted: Sequence[ArtifactRef], arch: str) -> list[Job]:
    """The wanted artifacts, put together by project and version."""
    catalogue = load_catalogue()
    groups: dict[tuple[str, str], dict[str, None]] = {}
    for ref in wanted:
        groups.setdefault((catalogue.project_of(ref), ref.version), {})[ref.name] = None
    return [
        Job(project, catalogue.projects[project], version, tuple(names), arch)
        for (project, version), names in groups.items()
    ]


def _without(job: Job, found: Mapping[ArtifactRef, Artifact]) -> Job | None:
    names = tuple(name for name in job.names if job.ref(name) not in found)
    return replace(job, names=names) if names else None


def _is_image(job: Job) -> bool:
    return job.project.kind is ArtifactKind.IMAGE


class _Stopped(Exception):
    """Another job failed, or the user has had enough."""


@dataclass(slots=True)
class _Run:
    """One call of `obtain`."""

    settings: SourceSettings
    cache: Cache
    sink: Sink
    release: ReleaseSource = field(init=False)
    build: BuildSource = field(init=False)
    _stop: Flag = field(default_factory=Flag)
    _telling: Lock = field(default_factory=Lock)
    _builds: Semaphore = field(default_factory=lambda: Semaphore(_BUILDS_AT_ONCE))

    def __post_init__(self) -> None:
        self.release = ReleaseSource(self.settings)
        self.build = BuildSource(self.settings)

    def cached(self, jobs: Sequence[Job]) -> dict[ArtifactRef, Artifact]:
        """What the cache has of the jobs' artifacts, from a source that the settings allow."""
        return self.cache.find({job.ref(name): self._keys(job, name) for job in jobs for name in job.names})

    def fill(self, jobs: Sequence[Job]) -> dict[ArtifactRef, Artifact]:
        """Gets what the cache does not have; the first failure stops the rest."""
        if self.settings.origin is Origin.CACHE:
            names = ", ".join(str(job.ref(name)) for job in jobs for name in job.names)
            raise ArtifactError(f"not in the cache: {names}", hint="run `kbootstrap artifacts fetch` first")
        found: dict[ArtifactRef, Artifact] = {}
        with ThreadPoolExecutor(_JOBS_AT_ONCE, thread_name_prefix="obtain") as pool:
            pending = [pool.submit(self._get, job) for job in jobs]
            try:
                for done in as_completed(pending):
                    found |= done.result()
            except BaseException:
                self._cancel(pending)
                raise
        return found

    def _cancel(self, pending: Sequence[Future[dict[ArtifactRef, Artifact]]]) -> None:
        self._stop.set()
        for future in pending:
            future.cancel()

    def _get(self, job: Job) -> dict[ArtifactRef, Artifact]:
        if self._hosts_pull(job):
            self.emit(Note(f"{job.subject}: the hosts pull it from its registry"))
            return {}
        name = f"{job.project_name}-{job.version}-{job.arch}"
        began = Progress(job.subject, 0, None, "steps")
        with (
            _plain_errors(job.subject, self.cache.root),
            self.cache.workplace(name, self.settings.lock_deadline, lambda: self.emit(began)) as work,
        ):
            found = self.cached([job])
            if left := _without(job, found):
                found |= self._provide(left, work)
        self.emit(Progress(job.subject, 1, 1, "steps"))
        return found

    def _provide(self, job: Job, work: Path) -> dict[ArtifactRef, Artifact]:
        if self.settings.origin is not Origin.BUILD and not _is_image(job) and self._may_download(job):
            try:
                return self._keep(job, self.release, work)
            except Unavailable as error:
                if self.settings.origin is not Origin.AUTO:
                    raise
                self.emit(Note(f"{error}; building {job.subject} instead", level="warning"))
        with self._builds:
            return self._keep(job, self.build, work)

    def _keep(self, job: Job, source: Source, work: Path) -> dict[ArtifactRef, Artifact]:
        self.emit(Progress(job.subject, 0, None, "steps"))
        started = time.monotonic()
        provided = source.provide(job, work, self.emit)
        kept = {}
        for name, file in provided.files.items():
            ref, image, key = job.ref(name), job.project.image, source.key(job, name)
            assert key is not None  # noqa: S101 - a source that provides has a key
            reference = image.reference(job.version) if image else None
            kept[ref] = self.cache.add(key, ref, file, reference=reference, made_from=provided.made_from)
        megabytes = sum(artifact.size for artifact in kept.values()) / _MEGABYTE
        spent = time.monotonic() - started
        self.emit(Note(f"{job.subject}: {provided.made_from}, {megabytes:.0f} MB in {spent:.0f} s"))
        return kept

    def _keys(self, job: Job, name: str) -> list[str]:
        sources: dict[Origin, tuple[Source, ...]] = {
            Origin.RELEASE: (self.release,),
            Origin.BUILD: (self.build,),
        }
        allowed = sources.get(self.settings.origin, (self.release, self.build))
        if _is_image(job):
            allowed = (self.build,)
        return [key for source in allowed if (key := source.key(job, name)) is not None]

    def _may_download(self, job: Job) -> bool:
        return self.settings.origin is Origin.RELEASE or self.release.answers(job)

    def _hosts_pull(self, job: Job) -> bool:
        if not _is_image(job) or self.settings.origin is Origin.BUILD or self.settings.images == "depot":
            return False
        return self.settings.origin is Origin.RELEASE or self.release.registry_answers(job)

    def emit(self, event: Event) -> None:
        """Tells the sink, one thread at a time; every job comes by here often, so this is where it stops."""
        if self._stop.is_set():
            raise _Stopped
        with self._telling:
            self.sink(event)


@contextmanager
def _plain_errors(subject: str, root: Path) -> Iterator[None]:
    """Files that cannot be read or written become errors that a user understands."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ArtifactError(
                f"{subject}: no space left in {root}",
                hint="make room there, or set XDG_CACHE_HOME to a folder on a larger disk",
            ) from error
        raise ArtifactError(f"{subject}: {error.filename or root}: {error.strerror or error}") from error
