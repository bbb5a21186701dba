"""Files, folders and links: kind, owner, mode, content."""

import io
import shlex
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, Self

from kbootstrap.facts.fact import Fact

Kind = Literal["absent", "file", "directory", "link", "other"]


@dataclass(frozen=True, slots=True)
class PathStat:
    """What is at a path. `content` is a file's, `target` a link's."""

    kind: Kind
    mode: int = 0
    owner: str = ""
    group: str = ""
    content: bytes = b""
    target: str = ""

    @property
    def exists(self) -> bool:
        return self.kind != "absent"


ABSENT = PathStat("absent")


@dataclass(frozen=True, slots=True)
class PathState(Fact[PathStat]):
    """What is at `path`, content included: for configuration, not for large files."""

    path: PurePosixPath

    @classmethod
    def script(cls, facts: Sequence[Self]) -> str:
        """One tar of all paths: it carries everything at once. What is missing is just not in it."""
        names = " ".join(shlex.quote(str(fact.path)) for fact in facts)
        return f"tar --create --file=- --no-recursion --absolute-names --ignore-failed-read -- {names}"

    @classmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, PathStat]:
        found: dict[str, PathStat] = {}
        if output:
            with tarfile.open(fileobj=io.BytesIO(output)) as archive:
                for member in archive:
                    found["/" + member.name.strip("/")] = _stat(archive, member)
        return {fact: found.get(str(fact.path), ABSENT) for fact in facts}


def _stat(archive: tarfile.TarFile, member: tarfile.TarInfo) -> PathStat:
    stat = {"mode": member.mode, "owner": member.uname, "group": member.gname}
    if member.isdir():
        return PathStat("directory", **stat)  # type: ignore[arg-type]
    if member.issym():
        return PathStat("link", **stat, target=member.linkname)  # type: ignore[arg-type]
    if member.isfile() or member.islnk():
        content = archive.extractfile(member)
        return PathStat("file", **stat, content=content.read() if content else b"")  # type: ignore[arg-type]
    return PathStat("other", **stat)  # type: ignore[arg-type]
