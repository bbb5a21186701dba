"""Whether a shell command succeeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from kbootstrap.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class Guard(Fact[bool]):
    """Whether `command` ends with exit code 0. It only looks; it changes nothing."""

    command: str

    @classmethod
    def script(cls, facts: Sequence[Self]) -> str:
        return "\n".join(f"if ( {fact.command}\n) >/dev/null; then echo yes; else echo no; fi" for fact in facts)

    @classmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, bool]:
        return dict(zip(facts, (line == b"yes" for line in output.split()), strict=True))
