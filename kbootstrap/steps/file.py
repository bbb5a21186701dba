"""Files, folders, links, and things that must not be there."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.paths import PathStat, PathState
from kbootstrap.steps.step import MASKED, Change, Paths, fingerprint, quote, write_file


@dataclass(frozen=True, slots=True)
class File:
    """A file's content, owner and mode. Missing parent folders are made for root alone (see Directory)."""

    path: PurePosixPath
    content: bytes
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = False

    def needs(self) -> Sequence[Fact[Any]]:
        return (PathState(self.path),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        now = seen[PathState(self.path)]
        if (now.kind, now.content) == ("file", self.content) and self._permissions() == _permissions(now):
            return None
        return Change(
            title=f"{'update' if now.exists else 'write'} {self.path}",
            script=_clear(now, self.path) + write_file(self.path, self.content, self.mode, self.owner, self.group),
            fingerprint=fingerprint("file", self.path, MASKED if self.secret else self.content, *self._permissions()),
            diff=self._shown(now),
            # Permissions alone are no reason to restart who has read the file.
            paths=frozenset() if (now.kind, now.content) == ("file", self.content) else frozenset({self.path}),
        )

    def _permissions(self) -> tuple[int, str, str]:
        return (self.mode, self.owner, self.group)

    def _shown(self, now: PathStat) -> str:
        lines = []
        if now.exists and _permissions(now) != self._permissions():
            lines.append(f"{_permission_text(*_permissions(now))} -> {_permission_text(*self._permissions())}")
        if now.content != self.content:
            lines.append(MASKED if self.secret else unified_diff(now.content, self.content, self.path))
        return "\n".join(lines)


def unified_diff(old: bytes, new: bytes, path: PurePosixPath) -> str:
    """What differs between two versions of a text file."""
    try:
        before, after = old.decode().splitlines(), new.decode().splitlines()
    except UnicodeDecodeError:
        return f"binary content: {len(old)} -> {len(new)} bytes"
    return "\n".join(difflib.unified_diff(before, after, f"{path} (now)", f"{path} (wanted)", lineterm=""))


def _permissions(stat: PathStat) -> tuple[int, str, str]:
    return (stat.mode, stat.owner, stat.group)


def _permission_text(mode: int, owner: str, group: str) -> str:
    return f"{owner}:{group} {mode:04o}"


def _clear(now: PathStat, path: PurePosixPath) -> str:
    """A folder in a file's place goes only when it is empty: its content may be somebody's."""
    return f"rmdir {quote(path)}\n" if now.kind == "directory" else ""


@dataclass(frozen=True, slots=True)
class Directory:
    """A folder, its owner and mode."""

    path: PurePosixPath
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"

    def needs(self) -> Sequence[Fact[Any]]:
        return (PathState(self.path),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        now = seen[PathState(self.path)]
        wanted = (self.mode, self.owner, self.group)
        if now.kind == "directory" and _permissions(now) == wanted:
            return None
        path = quote(self.path)
        return Change(
            title=f"{'set' if now.kind == 'directory' else 'make'} folder {self.path}",
            script=f"mkdir -p {path}\nchown {self.owner}:{self.group} {path}\nchmod {self.mode:04o} {path}",
            fingerprint=fingerprint("directory", self.path, *wanted),
            diff=_permission_text(*wanted),
        )


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, replaced atomically."""

    path: PurePosixPath
    target: str

    def needs(self) -> Sequence[Fact[Any]]:
        return (PathState(self.path),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        now = seen[PathState(self.path)]
        if now.kind == "link" and now.target == self.target:
            return None
        temporary = quote(self.path.with_name(f".{self.path.name}.kbootstrap"))
        return Change(
            title=f"link {self.path} -> {self.target}",
            script=_clear(now, self.path)
            + f"mkdir -p {quote(self.path.parent)}\nln -sfT {quote(self.target)} {temporary}\n"
            f"mv -fT {temporary} {quote(self.path)}",
            fingerprint=fingerprint("link", self.path, self.target),
            diff=f"{now.target or now.kind} -> {self.target}",
            paths=frozenset({self.path}),
        )


@dataclass(frozen=True, slots=True)
class Absent:
    """A file, or an empty folder, that must not be there."""

    path: PurePosixPath

    def needs(self) -> Sequence[Fact[Any]]:
        return (PathState(self.path),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        now = seen[PathState(self.path)]
        if not now.exists:
            return None
        command = "rmdir" if now.kind == "directory" else "rm -f"
        return Change(
            title=f"remove {self.path}",
            script=f"{command} {quote(self.path)}",
            fingerprint=fingerprint("absent", self.path),
            paths=frozenset({self.path}),
        )
