"""Artifacts on a host: fetched, checked against their digest, put in place atomically, kept beside older ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.facts.binaries import Delivered, note_path
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.steps.step import Change, Paths, fingerprint, quote


@dataclass(frozen=True, slots=True)
class Delivery:
    """An artifact as a file at `path`. The script calls `fetch DIGEST FILE`, which the runner provides."""

    artifact: Artifact
    path: PurePosixPath
    mode: int = 0o755

    def needs(self) -> Sequence[Fact[Any]]:
        return (Delivered(self.path),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        if seen[Delivered(self.path)].sha256 == self.artifact.sha256:
            return None
        temporary, path = quote(self.path.with_name(f".{self.path.name}.kbootstrap")), quote(self.path)
        note = quote(note_path(self.path))
        return Change(
            title=f"deliver {self.artifact.ref.name} {self.artifact.ref.version} to {self.path}",
            script="\n".join(
                (
                    f"mkdir -p {quote(self.path.parent)}; rm -f {note}",
                    f"fetch {self.artifact.sha256} {temporary}",
                    f"chmod {self.mode:04o} {temporary}",
                    f"mv -fT {temporary} {path}",
                    f'printf "%s %s\\n" {self.artifact.sha256} "$(stat -c "%s %Y" {path})" >{note}',
                )
            ),
            fingerprint=fingerprint("delivery", self.path, self.artifact.sha256, self.mode),
            diff=f"{self.artifact.size:,} bytes, sha256 {self.artifact.sha256}",
            paths=frozenset({self.path}),
            deliveries=(self.artifact.sha256,),
        )
