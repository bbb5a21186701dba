"""What a host notes of kbootstrap's runs: its journal and its lock."""

import shlex
from dataclasses import dataclass

from kbootstrap.facts.fact import Single


@dataclass(frozen=True, slots=True)
class LastLines(Single[str]):
    """The end of a text file; empty when there is none."""

    path: str
    count: int

    @property
    def command(self) -> str:
        return f"tail -n {self.count} {shlex.quote(self.path)}"

    def value(self, output: bytes) -> str:
        return output.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class LockNote(Single[str]):
    """The note beside a lock, while the process that it names lives; empty otherwise.

    The lock itself is not tried: for that moment it would be taken, and refuse whoever comes.
    """

    path: str

    @property
    def command(self) -> str:
        return f'read -r pid rest <{self.path}; [ ! -d "/proc/${{pid:-none}}" ] || cat {self.path}'

    def value(self, output: bytes) -> str:
        return output.decode(errors="replace")
