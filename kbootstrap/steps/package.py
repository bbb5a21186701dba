"""Operating-system packages, from the host's own sources or from the depot."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.packages import InstalledPackages
from kbootstrap.steps.step import Change, Paths, fingerprint, quote

FOLDER = "/var/cache/kbootstrap/packages"
INSTALLED = "/var/log/kbootstrap/packages"
"""On the host: the names of all packages that this step has installed, a line for each. Beside the journal, which
stays when everything else is taken off."""

_KEEP_CONFIGURATION = "--force-confdef --force-confold"
_APT_WAIT = "-o DPkg::Lock::Timeout=120"
"""Seconds for another apt, such as the daily upgrade, to end."""
_APT_INSTALL = f"apt-get install -qq -y --no-install-recommends {_APT_WAIT}"
_NO_SOURCES = "-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null"


@dataclass(frozen=True, slots=True)
class Packages:
    """Packages that must be installed; `debs` come from the depot in place of the host's own sources.

    `services` are units that a package brings, by its name. Debian starts and enables a service as soon as its
    package is installed; where it is this step that installs it, these stay off. One that was there before is left
    as it is: it is somebody's.
    """

    names: tuple[str, ...]
    debs: tuple[Artifact, ...] | None = None
    services: Mapping[str, str] = field(default_factory=dict)

    def needs(self) -> Sequence[Fact[Any]]:
        return (InstalledPackages(),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        installed = seen[InstalledPackages()]
        missing = tuple(name for name in self.names if name not in installed)
        if not missing:
            return None
        coming = dict.fromkeys((*missing, *(deb.ref.name for deb in self.debs or () if deb.ref.name not in installed)))
        return Change(
            title=f"install {' '.join(missing)}",
            script=_noted(coming)
            + self._without_services(
                missing, self._from_sources(missing) if self.debs is None else self._from_depot(self.debs)
            ),
            fingerprint=fingerprint("packages", *missing),
            deliveries=tuple(deb.sha256 for deb in self.debs or ()),
        )

    def _without_services(self, missing: Sequence[str], install: str) -> str:
        units = " ".join(quote(unit) for name, unit in self.services.items() if name in missing)
        if not units:
            return install
        return f"systemctl mask --quiet {units}\n{install}\nsystemctl unmask --quiet {units}"

    def _from_sources(self, missing: Sequence[str]) -> str:
        names = " ".join(quote(name) for name in missing)
        return (
            "export DEBIAN_FRONTEND=noninteractive\n"
            f"dpkg --configure -a {_KEEP_CONFIGURATION}\n"
            f"install() {{ {_APT_INSTALL} {names}; }}\n"
            f"install || {{ apt-get update -qq {_APT_WAIT} && install; }}"
        )

    def _from_depot(self, debs: Sequence[Artifact]) -> str:
        lines = [f"rm -rf {FOLDER}; mkdir -p {FOLDER}; cd {FOLDER}"]
        lines += [f"fetch {deb.sha256} {quote(deb.path.name)}.deb" for deb in debs]
        lines += [
            "export DEBIAN_FRONTEND=noninteractive",
            f"dpkg --configure -a {_KEEP_CONFIGURATION} || true  # what a run that died has left; apt mends the rest",
            f"{_APT_INSTALL} {_NO_SOURCES} -o DPkg::Options::=--force-unsafe-io ./*.deb",
            f"cd /; rm -rf {FOLDER}; sync --file-system /usr",  # once, instead of after every file
        ]
        return "\n".join(lines)


def _noted(names: Iterable[str]) -> str:
    """Before they are there: a run that dies half-way must not forget them."""
    return f"mkdir -p {INSTALLED.rpartition('/')[0]}\nprintf '%s\\n' {' '.join(map(quote, names))} >>{INSTALLED}\n"
