"""A command that runs while its guard fails."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.guard import Guard
from kbootstrap.steps.step import Change, Paths, fingerprint


@dataclass(frozen=True, slots=True)
class Command:
    """`script` runs when the `unless` shell fails, or when one of `inputs` changes in the same plan."""

    title: str
    script: str
    unless: str
    inputs: tuple[PurePosixPath, ...] = ()

    def needs(self) -> Sequence[Fact[Any]]:
        return (Guard(self.unless),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        if seen[Guard(self.unless)] and not any(path in touched for path in self.inputs):
            return None
        return Change(self.title, self.script, fingerprint("command", self.script), diff=self.script)
