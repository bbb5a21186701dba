"""Installed packages."""

from collections.abc import Mapping
from dataclasses import dataclass

from kbootstrap.facts.fact import Single


@dataclass(frozen=True, slots=True)
class InstalledPackages(Single[Mapping[str, str]]):
    """The versions of all packages that dpkg has fully installed, held ones too; empty where there is no dpkg."""

    @property
    def command(self) -> str:
        return "dpkg-query --show --showformat='${db:Status-Abbrev}${Package} ${Version}\\n'"

    def value(self, output: bytes) -> Mapping[str, str]:
        lines = output.decode(errors="replace").splitlines()
        words = (line[3:].split(" ", 1) for line in lines if line[1:3] == "i ")
        return dict(words)
