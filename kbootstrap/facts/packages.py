"""Installed packages."""

from dataclasses import dataclass

from kbootstrap.facts.fact import Single


@dataclass(frozen=True, slots=True)
class InstalledPackages(Single[frozenset[str]]):
    """The names of all packages that dpkg has fully installed, held ones too; empty where there is no dpkg."""

    @property
    def command(self) -> str:
        return "dpkg-query --show --showformat='${db:Status-Abbrev}${Package}\\n'"

    def value(self, output: bytes) -> frozenset[str]:
        lines = output.decode(errors="replace").splitlines()
        return frozenset(line[3:] for line in lines if line[1:3] == "i ")
