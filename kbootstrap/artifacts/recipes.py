"""How each project's files are had, as the catalogue's data file says it."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from kbootstrap.artifacts.artifact import ArtifactKind

_Text = Annotated[str, BeforeValidator(str)]
"""A version may look like a number to YAML."""


class Recipe(BaseModel):
    """Frozen data from the catalogue; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Download(Recipe):
    """A published file: its address without the scheme, where its digest is published, and what is in it.

    Without `digest` the file is taken only when its digest is pinned. `member` is a path inside an archive;
    without it the file itself is the binary.
    """

    file: str
    digest: str | None = None
    member: str | None = None


class _FromModule(Recipe):
    """Something built from a Go module; `source_versions` maps the project's version to the module's, where
    they differ."""

    module: str
    source_versions: Mapping[str, str] = {}

    def module_version(self, version: str) -> str:
        """The module's version, without its leading `v`, that holds a version of the project."""
        return self.source_versions.get(version, version)


class GoBuild(_FromModule):
    """Commands of a Go module.

    `commands` maps a binary's name to its package; `also` are modules that take the same version; `stamp`
    maps linker variables to values; `static_c` links C libraries, statically; `without` are folders of the
    module that are left out, with their imports.
    """

    commands: Mapping[str, str]
    also: tuple[str, ...] = ()
    stamp: Mapping[str, str] = {}
    tags: tuple[str, ...] = ()
    static_c: bool = False
    without: tuple[str, ...] = ()


class CBuild(_FromModule):
    """One C file in a Go module's tree, compiled to a static binary."""

    source: str
    define: Mapping[str, str] = {}


class Image(Recipe):
    """What makes an image of a project's one binary: it lies at `/NAME` and is the entry point."""

    repository: str
    tag: str = "{version}"
    user: str = ""
    command: tuple[str, ...] = ()

    def reference(self, version: str) -> str:
        """The image's name in a registry, e.g. `registry.k8s.io/pause:3.10.2`."""
        return f"{self.repository}:{self.tag.format(version=version)}"


class Project(Recipe):
    """One upstream project. With `image` its artifact is an image named like the project."""

    download: Download | None = None
    go: GoBuild | None = None
    c: CBuild | None = None
    image: Image | None = None
    optional: bool = False

    @property
    def kind(self) -> ArtifactKind:
        """What its artifacts are."""
        return ArtifactKind.BINARY if self.image is None else ArtifactKind.IMAGE


class Companions(Recipe):
    """What a Kubernetes minor's data line says: the newest tried patch, and each other project's version."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=lambda name: name.replace("_", "-"))

    newest: _Text
    etcd: _Text
    containerd: _Text
    runc: _Text
    cni_plugins: _Text
    crictl: _Text
    coredns: _Text
    pause: _Text
    flannel: _Text
    agnhost: _Text
    metrics_server: _Text
