"""What can be put on a host: a name for it, and the file itself."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ArtifactKind(StrEnum):
    """What an artifact's file is."""

    BINARY = "binary"
    """One executable file."""
    IMAGE = "image"
    """A container image as a docker-archive tar, ready for `ctr images import`."""
    PACKAGE = "package"
    """An operating-system package (.deb)."""


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """An artifact by name, e.g. `kubelet` `1.36.4`; versions have no leading `v`."""

    name: str
    version: str
    kind: ArtifactKind = ArtifactKind.BINARY

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A plain file in the cache, as it is to lie on a host, with the digest it was checked against.

    `reference` is an image's name in a registry, e.g. `registry.k8s.io/pause:3.10.2`, else None.
    """

    ref: ArtifactRef
    sha256: str
    size: int
    path: Path
    reference: str | None = None
