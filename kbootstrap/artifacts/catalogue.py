"""The catalogue: what can be installed, in which versions, and how it is had."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import ConfigDict

from kbootstrap.artifacts.artifact import ArtifactRef
from kbootstrap.artifacts.recipes import Companions, Project, Recipe
from kbootstrap.artifacts.releases import CatalogueEntry, ReleaseSet
from kbootstrap.errors import ArtifactError
from kbootstrap.model.settings import Companion
from kbootstrap.model.versions import Version


class UnknownRelease(ArtifactError):
    """The catalogue does not have that Kubernetes version; `known` are the minors it has."""

    def __init__(self, version: Version, known: tuple[str, ...]) -> None:
        super().__init__(
            f"Kubernetes {version} is not in the catalogue",
            hint=f"known: any patch of {', '.join(known)}",
        )
        self.known = known


class Catalogue(Recipe):
    """Releases by Kubernetes minor, and the projects their parts come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    releases: Mapping[str, Companions]
    projects: Mapping[str, Project]

    def release(self, version: Version, others: Mapping[Companion, Version] | None = None) -> ReleaseSet:
        """The versions that belong to a Kubernetes version; any patch of a known minor will do.

        `others` are wanted instead, by the names of their projects.
        """
        companions = self.releases.get(version.series)
        if companions is None:
            raise UnknownRelease(version, tuple(self.releases))
        versions = companions.model_dump(exclude={"newest"})
        versions |= {project.replace("-", "_"): str(other) for project, other in (others or {}).items()}
        return ReleaseSet(kubernetes=str(version), **versions, entries=self.entries())

    def newest(self) -> Version:
        """The newest Kubernetes version that was tried."""
        return max(Version.parse(companions.newest) for companions in self.releases.values())

    def entries(self) -> dict[str, CatalogueEntry]:
        """Every artifact by name."""
        return {entry.name: entry for name, project in self.projects.items() for entry in _entries(name, project)}

    def project_of(self, ref: ArtifactRef) -> str:
        """The name of the project that an artifact comes from."""
        entry = self.entries().get(ref.name)
        if entry is None or entry.kind is not ref.kind:
            raise ArtifactError(f"the catalogue has no {ref.kind} {ref.name!r}")
        return entry.project


def _entries(name: str, project: Project) -> list[CatalogueEntry]:
    if project.image is not None:
        reference = f"{project.image.repository}:{project.image.tag}"
        return [CatalogueEntry(name, name, project.kind, reference, project.optional)]
    commands = project.go.commands if project.go else {}
    return [CatalogueEntry(command, name, project.kind, None, project.optional) for command in commands]


@cache
def load_catalogue() -> Catalogue:
    """Reads the catalogue that comes with the package."""
    return Catalogue.model_validate(_read("catalogue.yml"))


@cache
def load_digests() -> Mapping[str, str]:
    """Published digests that are pinned: SHA-256 by the file's address without the scheme."""
    digests: dict[str, str] = _read("digests.yml") or {}
    return digests


def _read(name: str) -> Any:  # noqa: ANN401 - pydantic checks it
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
