"""Operating-system packages for hosts that have no package sources of their own."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kbootstrap.artifacts.apt import Apt, Deb
from kbootstrap.artifacts.artifact import Artifact, ArtifactKind, ArtifactRef
from kbootstrap.artifacts.cache import Cache
from kbootstrap.errors import ArtifactError
from kbootstrap.events import Note, Progress, Sink, ignore

_LOCK_DEADLINE = 600.0
"""Seconds to wait for another process that resolves packages for the same release."""
_FRESH = 7 * 24 * 3600.0
"""Seconds after which packages are looked for anew, for the sake of security updates."""


@dataclass(frozen=True, slots=True)
class PackageSet:
    """The packages a host lacks, dependencies included, in an order in which they can be installed."""

    debs: tuple[Artifact, ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(deb.size for deb in self.debs)


def packages(
    names: Sequence[str],
    *,
    release: str,
    arch: str,
    installed: Mapping[str, str],
    cache: Cache,
    emit: Sink = ignore,
    status: str | None = None,
) -> PackageSet:
    """What a host of `release` (`bookworm`) and `arch` (`amd64`) needs so that `names` are installed.

    `installed` are the packages it has, and their versions: those that are too old for the wanted ones are among the
    answer. With `status`, the content of the host's `/var/lib/dpkg/status`, what they need is known too. The second
    call with the same arguments reads the cache only.
    Raises ArtifactError.
    """
    question = json.dumps([sorted(names), release, arch, sorted(installed.items()), status])
    answer = cache.root / "packages" / f"{hashlib.sha256(question.encode()).hexdigest()}.json"
    found = _remembered(answer, cache, release)
    if found is not None and time.time() - answer.stat().st_mtime < _FRESH:
        return found
    place = f"packages-{release}-{arch}"
    with cache.workplace(place, _LOCK_DEADLINE, lambda: emit(Progress(place, 0, None, "steps"))) as work:
        apt = Apt(cache.root / "apt" / f"{release}-{arch}", release, arch, work / "status")
        try:
            debs = _resolve(apt, names, installed, status)
            resolved = _collect(apt, debs, cache, work)
        except ArtifactError as error:
            if found is None:
                raise
            emit(Note(f"{error}; taking the packages that were found before", level="warning"))
            return found
        answer.parent.mkdir(exist_ok=True)
        (work / "answer").write_text(json.dumps([asdict(deb) for deb in debs]))
        (work / "answer").replace(answer)
    emit(Progress(place, 1, 1, "steps"))
    emit(Note(f"packages for {release}: {len(resolved.debs)} files, {resolved.size / 1e6:.1f} MB"))
    return resolved


def _remembered(answer: Path, cache: Cache, release: str) -> PackageSet | None:
    """An earlier answer, if every file is still in the cache."""
    with suppress(FileNotFoundError, ValueError, TypeError):
        debs = [Deb(**fields) for fields in json.loads(answer.read_bytes())]
        found = cache.find({_ref(deb): [_key(deb, release)] for deb in debs})
        if len(found) == len(debs):
            return PackageSet(tuple(found.values()))
    return None


def _resolve(apt: Apt, names: Sequence[str], installed: Mapping[str, str], status: str | None) -> list[Deb]:
    apt.status.touch()
    apt.update()
    apt.status.write_text(apt.as_installed(installed) if status is None else status, encoding="utf-8")
    return apt.needed(names)


def _collect(apt: Apt, debs: Sequence[Deb], cache: Cache, work: Path) -> PackageSet:
    """The packages' files, the missing ones downloaded."""
    found = cache.find({_ref(deb): [_key(deb, apt.suite)] for deb in debs})
    missing = [deb for deb in debs if _ref(deb) not in found]
    if missing:
        apt.download(missing, work)
    for deb in missing:
        made_from = f"this machine's package sources, for {apt.suite}"
        found[_ref(deb)] = cache.add(_key(deb, apt.suite), _ref(deb), work / deb.file_name, made_from=made_from)
    return PackageSet(tuple(found[_ref(deb)] for deb in debs))


def _ref(deb: Deb) -> ArtifactRef:
    return ArtifactRef(deb.name, deb.version, ArtifactKind.PACKAGE)


def _key(deb: Deb, release: str) -> str:
    return f"deb {deb.name} {deb.version} {deb.arch} {release}"
