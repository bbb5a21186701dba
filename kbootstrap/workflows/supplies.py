"""The artifacts and packages that a cluster needs, brought to this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kbootstrap.artifacts.artifact import Artifact, ArtifactRef
from kbootstrap.artifacts.cache import default_cache
from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.artifacts.obtain import obtain
from kbootstrap.artifacts.packages import packages
from kbootstrap.artifacts.releases import ReleaseSet
from kbootstrap.artifacts.source import Origin, SourceSettings
from kbootstrap.components.packages import wanted_packages
from kbootstrap.errors import InvalidInput
from kbootstrap.events import Sink
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.identity import HostIdentity, Identity
from kbootstrap.facts.packages import InstalledPackages
from kbootstrap.model.cluster import Cluster

DEBIAN_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names of what `uname -m` prints."""


@dataclass(frozen=True, slots=True)
class Supplies:
    """What is in the cache for this cluster. `packages` are by host, for those that need them from here.

    `files` are those on this machine that the inventory names: authorities and passwords of registries, secrets of
    backup targets, certificates and keys of applications.
    """

    release: ReleaseSet
    artifacts: Mapping[str, Artifact]
    packages: Mapping[str, tuple[Artifact, ...]]
    files: Mapping[Path, bytes] = field(repr=False)

    @property
    def all(self) -> tuple[Artifact, ...]:
        """Every artifact a host may ask for."""
        return (*self.artifacts.values(), *(deb for debs in self.packages.values() for deb in debs))


def release_of(cluster: Cluster) -> ReleaseSet:
    """The versions that a cluster is to have. Raises UnknownRelease."""
    return load_catalogue().release(cluster.kubernetes, cluster.settings.artifacts.versions)


def supplies_for(cluster: Cluster, facts: Mapping[str, Facts], emit: Sink) -> Supplies:
    """Obtains what is not in the cache yet."""
    release = release_of(cluster)
    return Supplies(
        release=release,
        artifacts={ref.name: artifact for ref, artifact in obtained(cluster, release.refs(), emit).items()},
        packages=_packages(cluster, facts, emit),
        files=named_files(cluster),
    )


def obtained(cluster: Cluster, wanted: Sequence[ArtifactRef], emit: Sink) -> dict[ArtifactRef, Artifact]:
    """Artifacts in the cache, from where the inventory says. Raises ArtifactError."""
    settings = cluster.settings.artifacts
    source = SourceSettings(origin=Origin(settings.source), mirror=settings.mirror, images=settings.images)
    return obtain(wanted, source, default_cache(), emit)


def named_files(cluster: Cluster) -> dict[Path, bytes]:
    """The contents of the files on this machine that the inventory names. Raises InvalidInput."""
    registries = cluster.settings.containerd.registries.values()
    paths = [path for registry in registries for path in (registry.ca_file, registry.password_file) if path]
    paths += [source.file for target in cluster.settings.backup.targets.values() for source in target.secrets.values()]
    served = cluster.settings.applications.values()
    paths += [path for application in served for path in (application.certificate, application.key) if path]
    return {path: _read(path) for path in paths}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}, which the inventory names, cannot be read: {error.strerror}") from error


def _packages(cluster: Cluster, facts: Mapping[str, Facts], emit: Sink) -> dict[str, tuple[Artifact, ...]]:
    """The packages that a host lacks, for every host that cannot get them from sources of its own."""
    way = cluster.settings.artifacts.packages
    found = {}
    for name, seen in facts.items():
        identity, installed = seen[Identity()], seen[InstalledPackages()]
        missing = [package for package in wanted_packages(cluster, cluster.host(name)) if package not in installed]
        if way == "depot" or (way == "auto" and not identity.has_package_sources):
            found[name] = _resolve(missing, identity, installed, emit) if missing else ()
    return found


def _resolve(
    missing: Sequence[str], identity: HostIdentity, installed: Mapping[str, str], emit: Sink
) -> tuple[Artifact, ...]:
    arch = DEBIAN_ARCH.get(identity.arch, identity.arch)
    found = packages(
        missing, release=identity.codename, arch=arch, installed=installed, cache=default_cache(), emit=emit
    )
    return found.debs
