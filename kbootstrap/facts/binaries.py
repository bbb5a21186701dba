"""Delivered files too large to read back: judged by size, time and the digest noted when they arrived."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from kbootstrap.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """A delivered file; `sha256` is None when it is missing or was touched since its digest was checked."""

    sha256: str | None
    size: int = 0


NOT_DELIVERED = DeliveredFile(None)


def note_path(path: PurePosixPath) -> PurePosixPath:
    """Where the digest of a delivered file is noted: beside it."""
    return path.with_name(f".{path.name}.sha256")


@dataclass(frozen=True, slots=True)
class Delivered(Fact[DeliveredFile]):
    """Whether `path` holds what was delivered, and what that was."""

    path: PurePosixPath

    @classmethod
    def script(cls, facts: Sequence[Self]) -> str:
        names = " ".join(shlex.quote(str(fact.path)) for fact in facts)
        notes = " ".join(shlex.quote(str(note_path(fact.path))) for fact in facts)
        return f"stat -c 'file %n %s %Y' {names}\ngrep -H '' {notes} /dev/null"

    @classmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, DeliveredFile]:
        files: dict[str, tuple[str, str]] = {}
        notes: dict[str, list[str]] = {}
        for line in output.decode(errors="replace").splitlines():
            if line.startswith("file "):
                name, size, changed = line.removeprefix("file ").rsplit(" ", 2)
                files[name] = (size, changed)
            else:
                name, _, note = line.partition(":")
                notes[name] = note.split(" ")
        return {fact: _judged(files.get(str(fact.path)), notes.get(str(note_path(fact.path)))) for fact in facts}


def _judged(file: tuple[str, str] | None, note: list[str] | None) -> DeliveredFile:
    if file is None:
        return NOT_DELIVERED
    size, changed = file
    sha256 = note[0] if note is not None and note[1:] == [size, changed] else None
    return DeliveredFile(sha256, int(size))
