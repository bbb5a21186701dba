"""Room on the file systems behind paths."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from kbootstrap.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class Space:
    """The file system that a path is on, or would be on."""

    mount: str
    """Empty when nothing could be read."""
    size_bytes: int
    free_bytes: int
    free_inodes: int | None
    """None where the file system has no limit of its own."""
    read_only: bool
    occupied: bool
    """Whether the path is there already and not an empty folder."""


UNKNOWN = Space("", 0, 0, None, False, False)

_SCRIPT = """\
find {paths} -maxdepth 0 ! -empty -printf 'occupied %p\\n'
set --
for path in {paths}; do
  while [ ! -e "$path" ]; do path=${{path%/*}}; path=${{path:-/}}; done
  set -- "$@" "$path"
done
df --block-size=1 --output=size,avail,itotal,iavail,target "$@"
awk '$4 ~ /^ro(,|$)/ {{ print "ro", $2 }}' /proc/self/mounts
"""


@dataclass(frozen=True, slots=True)
class DiskSpace(Fact[Space]):
    """How much room there is where `path` is, or will be."""

    path: PurePosixPath

    @classmethod
    def script(cls, facts: Sequence[Self]) -> str:
        return _SCRIPT.format(paths=" ".join(shlex.quote(str(fact.path)) for fact in facts))

    @classmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, Space]:
        lines = output.decode(errors="replace").splitlines()
        occupied = {line.removeprefix("occupied ") for line in lines if line.startswith("occupied ")}
        read_only = {line.removeprefix("ro ") for line in lines if line.startswith("ro ")}
        rows = [row for line in lines if len(row := line.split(None, 4)) == 5 and row[0].isdigit()]
        if len(rows) != len(facts):
            return dict.fromkeys(facts, UNKNOWN)
        return {fact: _space(row, str(fact.path) in occupied, read_only) for fact, row in zip(facts, rows, strict=True)}


def _space(row: list[str], occupied: bool, read_only: set[str]) -> Space:
    size, free, inodes, free_inodes, mount = row
    return Space(
        mount=mount,
        size_bytes=_number(size),
        free_bytes=_number(free),
        free_inodes=_number(free_inodes) if _number(inodes) else None,
        read_only=mount in read_only,
        occupied=occupied,
    )


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
