"""Which versions of our programs a host has, uses, and runs."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from kbootstrap.facts.fact import Single
from kbootstrap.model.versions import Version


@dataclass(frozen=True, slots=True)
class InUse:
    """A program's version by its `current` link, and that of the process that runs (None: it does not)."""

    linked: Version
    running: Version | None


@dataclass(frozen=True, slots=True)
class VersionsInUse(Single[Mapping[str, InUse]]):
    """The versions of `programs` by name, those that are installed under `folder/PROGRAM/VERSION/PROGRAM`."""

    folder: str
    programs: tuple[str, ...]

    @property
    def command(self) -> str:
        return (
            f"for program in {' '.join(self.programs)}; do\n"
            f'  link=$(readlink "{self.folder}/$program/current") || continue\n'
            '  pid=$(systemctl show --property=MainPID --value "$program.service" 2>/dev/null)\n'
            '  echo "$program $link $(readlink "/proc/${pid:-0}/exe")"\n'
            "done"
        )

    def value(self, output: bytes) -> Mapping[str, InUse]:
        rows = (line.split(" ", 2) for line in output.decode(errors="replace").splitlines())
        found = {}
        for program, link, running in (row for row in rows if len(row) == 3):
            with suppress(ValueError):  # a link of somebody else's
                found[program] = InUse(Version.parse(link), _of_path(running))
        return found


def _of_path(program: str) -> Version | None:
    """From `/opt/kbootstrap/kubelet/1.36.4/kubelet`; the program may have been replaced since (` (deleted)`)."""
    with suppress(ValueError, IndexError):
        return Version.parse(program.split("/")[-2])
    return None
