"""Operating-system packages, from the host's own sources or from the depot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.packages import InstalledPackages
from kbootstrap.steps.step import Change, Paths, fingerprint, quote

FOLDER = "/var/cache/kbootstrap/packages"

NO_AUTOSTART = """\
undo_policy() { rm -f /usr/sbin/policy-rc.d; [ ! -e /usr/sbin/policy-rc.d.kbootstrap ] || \
mv /usr/sbin/policy-rc.d.kbootstrap /usr/sbin/policy-rc.d; }
[ ! -e /usr/sbin/policy-rc.d ] || grep -q kbootstrap /usr/sbin/policy-rc.d || \
mv /usr/sbin/policy-rc.d /usr/sbin/policy-rc.d.kbootstrap
trap undo_policy EXIT
printf '#!/bin/sh\\n# kbootstrap: services start when they are configured\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
"""
"""Debian starts a service as soon as its package is installed; a policy-rc.d that says 101 keeps it from that."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Packages that must be installed; `debs` come from the depot in place of the host's own sources."""

    names: tuple[str, ...]
    debs: tuple[Artifact, ...] | None = None

    def needs(self) -> Sequence[Fact[Any]]:
        return (InstalledPackages(),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        missing = tuple(name for name in self.names if name not in seen[InstalledPackages()])
        if not missing:
            return None
        return Change(
            title=f"install {' '.join(missing)}",
            script=NO_AUTOSTART
            + (self._from_sources(missing) if self.debs is None else self._from_depot(self.debs)),
            fingerprint=fingerprint("packages", *missing),
            deliveries=tuple(deb.sha256 for deb in self.debs or ()),
        )

    def _from_sources(self, missing: Sequence[str]) -> str:
        names = " ".join(quote(name) for name in missing)
        return (
            "export DEBIAN_FRONTEND=noninteractive\n"
            "dpkg --configure -a --force-confdef --force-confold\n"
            f"install() {{ apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 {names}; }}\n"
            "install || { apt-get update -qq -o DPkg::Lock::Timeout=120 && install; }"
        )

    def _from_depot(self, debs: Sequence[Artifact]) -> str:
        lines = [f"rm -rf {FOLDER}; mkdir -p {FOLDER}; cd {FOLDER}"]
        lines += [f"fetch {deb.sha256} {quote(deb.path.name)}.deb" for deb in debs]
        lines += [
            "export DEBIAN_FRONTEND=noninteractive",
            "dpkg --force-confdef --force-confold --install ./*.deb",
            f"cd /; rm -rf {FOLDER}",
        ]
        return "\n".join(lines)
