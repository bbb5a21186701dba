"""The versions that belong together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kbootstrap.artifacts.artifact import ArtifactKind, ArtifactRef
from kbootstrap.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One artifact the catalogue knows: its project and, of an image, the pattern of its reference."""

    name: str
    project: str
    kind: ArtifactKind
    reference: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseSet:
    """A Kubernetes version and the versions of everything that goes with it, all without a leading `v`."""

    kubernetes: str
    etcd: str
    containerd: str
    runc: str
    cni_plugins: str
    crictl: str
    coredns: str
    pause: str
    flannel: str
    agnhost: str
    metrics_server: str
    entries: Mapping[str, CatalogueEntry] = field(repr=False, compare=False)

    def ref(self, name: str) -> ArtifactRef:
        """The artifact of that name (`kubelet`, `etcdctl`, `bridge`, `pause` …) in this set's version."""
        entry = self._entry(name)
        return ArtifactRef(name, self.version_of(entry.project), entry.kind)

    def refs(self, *names: str) -> tuple[ArtifactRef, ...]:
        """The artifacts of those names; without names every one that is not optional, images included."""
        wanted = names or [entry.name for entry in self.entries.values() if not entry.optional]
        return tuple(self.ref(name) for name in wanted)

    def images(self, *names: str) -> tuple[ArtifactRef, ...]:
        """The images of those names; without names every one that is not optional."""
        return tuple(ref for ref in self.refs(*names) if ref.kind is ArtifactKind.IMAGE)

    def image_reference(self, name: str) -> str:
        """An image's name in a registry, e.g. `registry.k8s.io/pause:3.10.2`; needs no file to be there."""
        entry = self._entry(name)
        if entry.reference is None:
            raise ArtifactError(f"{name} is a {entry.kind}, not an image")
        return entry.reference.format(version=self.version_of(entry.project))

    def version_of(self, project: str) -> str:
        """The version of a project by its catalogue name, e.g. `cni-plugins`."""
        version: str = getattr(self, project.replace("-", "_"))
        return version

    def _entry(self, name: str) -> CatalogueEntry:
        entry = self.entries.get(name)
        if entry is None:
            known = ", ".join(sorted(self.entries))
            raise ArtifactError(f"the catalogue has no artifact {name!r}", hint=f"it has: {known}")
        return entry
