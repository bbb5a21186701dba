"""What a source of artifacts is, and which one is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from kbootstrap.artifacts.artifact import ArtifactRef
from kbootstrap.artifacts.recipes import Project
from kbootstrap.events import Sink


class Origin(StrEnum):
    """Where artifacts may come from."""

    AUTO = "auto"
    """The cache, else the projects' releases if they answer at once, else a build."""
    RELEASE = "release"
    """The projects' own download addresses, or a mirror of them."""
    BUILD = "build"
    """Go modules, with the local Go toolchain."""
    CACHE = "cache"
    """Only what is in the cache already."""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Which source is asked and how patiently; times in seconds.

    `mirror` is a base address under which the release files lie by host name and path, e.g.
    `http://mirror.example/k8s` for `http://mirror.example/k8s/dl.k8s.io/release/…`.
    """

    origin: Origin = Origin.AUTO
    mirror: str | None = None
    images: Literal["auto", "registry", "depot"] = "auto"
    """Whether hosts pull the cluster's own images, whatever the origin, or get them from here."""
    arch: str = "amd64"
    probe_timeout: float = 2.0
    stall_timeout: float = 20.0
    download_deadline: float = 1800.0
    build_deadline: float = 3600.0
    lock_deadline: float = 3600.0
    retry_pause: float = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """Files of one project in one version that are had together."""

    project_name: str
    project: Project
    version: str
    names: tuple[str, ...]
    arch: str

    @property
    def subject(self) -> str:
        """What a person reads, e.g. `kubernetes 1.36.4`."""
        return f"{self.project_name} {self.version}"

    def ref(self, name: str) -> ArtifactRef:
        """The artifact of that name."""
        return ArtifactRef(name, self.version, self.project.kind)


@dataclass(frozen=True, slots=True)
class Provided:
    """Complete files by artifact name, and in words what they were made from."""

    files: Mapping[str, Path]
    made_from: str


class Source(Protocol):
    """Makes or fetches files."""

    def key(self, job: Job, name: str) -> str | None:
        """What the content of one of the job's files follows from; None if this source does not have it."""

    def provide(self, job: Job, work: Path, emit: Sink) -> Provided:
        """Puts the job's files below `work`.

        Their digests are checked where somebody publishes them. Raises ArtifactError.
        """
