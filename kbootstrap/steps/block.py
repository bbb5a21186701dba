"""Some lines of a file that belongs to somebody else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.paths import PathState
from kbootstrap.steps.file import unified_diff
from kbootstrap.steps.step import Change, Paths, fingerprint, write_file


@dataclass(frozen=True, slots=True)
class Block:
    """Lines between two comments that name `marker`; the rest of the file, its owner and its mode stay.

    A missing file is made; a missing block goes to the end; empty `content` takes the block out.
    """

    path: PurePosixPath
    marker: str
    content: str

    def needs(self) -> Sequence[Fact[Any]]:
        return (PathState(self.path),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        now = seen[PathState(self.path)]
        wanted = self._merged(now.content.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        if wanted == now.content and (now.kind == "file" or not wanted):
            return None
        owner = (now.mode, now.owner, now.group) if now.kind == "file" else (0o644, "root", "root")
        return Change(
            title=f"edit {self.path}",
            script=write_file(self.path, wanted, *owner),
            fingerprint=fingerprint("block", self.path, self.marker, self.content),
            diff=unified_diff(now.content, wanted, self.path),
            paths=frozenset({self.path}),
        )

    def _merged(self, text: str) -> str:
        begin, end = f"# BEGIN {self.marker}\n", f"# END {self.marker}\n"
        block = f"{begin}{self.content.rstrip()}\n{end}" if self.content.strip() else ""
        found = re.compile(f"^{re.escape(begin)}(?:.*\n)*?{re.escape(end)}", re.MULTILINE)
        if found.search(text):
            return found.sub(lambda _: block, text, count=1)
        return text + ("\n" if text and not text.endswith("\n") else "") + block
