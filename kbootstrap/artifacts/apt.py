"""apt on this machine, asked about other hosts: its own sources, a private state, nothing installed."""

import os
import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.artifacts.process import run_tool
from kbootstrap.errors import ArtifactError

_INSTALL = re.compile(r"^Inst (?P<name>\S+) (?:\[[^]]*\] )?\((?P<version>\S+) .*\[(?P<arch>\w+)\]\)", re.MULTILINE)
_UNKNOWN_FIELDS = re.compile(
    r"^(?:Filename|Size|MD5sum|SHA\w+|Description\S*|Tag|(?:Pre-)?Depends|Recommends|Suggests|Enhances|Breaks|Conflicts"
    r"|Replaces):.*\n(?:[ \t].*\n)*",
    re.MULTILINE,
)
"""What the newest version's record says of a package that is installed in another version, perhaps wrongly."""
_NAME = re.compile(r"^Package: (?P<name>\S+)$", re.MULTILINE)
_VERSION = re.compile(r"^Version: .*$", re.MULTILINE)
_DEADLINE = 300.0
"""Seconds for one run of apt; fetching the lists of a Debian release takes 2."""
_HINT = "this machine's own package sources must have the package: see `apt-get update` and `apt-cache policy`"


@dataclass(frozen=True, slots=True)
class Deb:
    """A package in one version, as apt names it."""

    name: str
    version: str
    arch: str

    @property
    def file_name(self) -> str:
        """What `apt-get download` calls the file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.arch}.deb"


@dataclass(frozen=True, slots=True)
class Apt:
    """apt with a state of its own below `home`, for hosts of a release (`suite`, e.g. `bookworm`) and processor.

    `status` is a file like `/var/lib/dpkg/status`: what is taken to be installed.
    """

    home: Path
    suite: str
    arch: str
    status: Path

    def update(self) -> None:
        """Fetches the package lists as far as they have changed."""
        for folder in ("lists/partial", "archives/partial"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        self._sources()
        self._run("apt-get", "update", "-qq")

    def needed(self, names: Sequence[str]) -> list[Deb]:
        """What must be installed for `names` to be there, in an order in which it can be."""
        answer = self._run("apt-get", "install", "--simulate", "--yes", "--no-install-recommends", *names)
        return [Deb(found["name"], found["version"], found["arch"]) for found in _INSTALL.finditer(answer)]

    def download(self, debs: Sequence[Deb], target: Path) -> None:
        """Puts the packages' files into `target`; apt checks them against its signed lists."""
        wanted = [f"{deb.name}:{deb.arch}={deb.version}" for deb in debs]
        self._run("apt-get", "download", "-qq", *wanted, folder=target)

    def as_installed(self, versions: Mapping[str, str]) -> str:
        """A dpkg status in which these packages are installed in these versions.

        What they need is there, as they are installed; what their newest versions would need says nothing of it.
        """
        if not versions:
            return ""
        records = self._run("apt-cache", "show", "--no-all-versions", *sorted(versions))
        stanzas = [_UNKNOWN_FIELDS.sub("", record + "\n").strip() for record in records.split("\n\n")]
        return "".join(
            f"{_in_version(stanza, versions)}\nStatus: install ok installed\n\n" for stanza in stanzas if stanza
        )

    def _sources(self) -> None:
        """Copies of this machine's sources, for the hosts' release instead of its own."""
        own = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
        parts = self.home / "sources.list.d"
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        configured = Path("/etc/apt")
        files = [configured / "sources.list", *(configured / "sources.list.d").glob("*")]
        for file in files:
            if file.suffix in {".list", ".sources"} and file.is_file():
                text = file.read_text(encoding="utf-8")
                changed = re.sub(rf"\b{re.escape(own)}\b", self.suite, text) if own else text
                (parts / file.name).write_text(changed, encoding="utf-8")

    def _run(self, program: str, *argv: str, folder: Path | None = None) -> str:
        places = {
            "Dir::State": self.home,
            "Dir::State::lists": self.home / "lists",
            "Dir::State::status": self.status,
            "Dir::Cache": self.home,
            "Dir::Cache::archives": self.home / "archives",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self.home / "sources.list.d",
            "APT::Architecture": self.arch,
            "APT::Architectures::": self.arch,
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Debug::NoLocking": "true",
        }
        options = [word for key, value in places.items() for word in ("-o", f"{key}={value}")]
        if shutil.which(program) is None:
            raise ArtifactError(
                f"this machine has no {program}, and a host without package sources needs it for its packages",
                hint="run kbootstrap on Debian or Ubuntu, or give the hosts package sources of their own",
            )
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        return run_tool(
            [program, *options, *argv],
            folder or self.home,
            environment,
            _DEADLINE,
            subject=f"packages for {self.suite} ({self.arch})",
            hint=_HINT,
        )


def _in_version(stanza: str, versions: Mapping[str, str]) -> str:
    """A package's record with the version that is installed."""
    name = _NAME.search(stanza)
    return _VERSION.sub(f"Version: {versions[name['name']]}", stanza) if name and name["name"] in versions else stanza
