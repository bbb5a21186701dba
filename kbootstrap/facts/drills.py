"""What a host notes of a drill that hurts it."""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.facts.fact import Single

FOLDER = PurePosixPath("/var/lib/kbootstrap/drill")
"""There while a drill hurts the host, and after one that was cut short until the next drill."""
MARK = FOLDER / "mark.json"
UNDONE = FOLDER / "undone"
"""There when the host has undone by itself what was done to it: the time (ISO 8601, UTC)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A drill that hurts a host, or has: its run, its name, whose it is and since when; when the host healed itself."""

    run: str
    drill: str
    who: str
    since: str
    undone: str = ""


@dataclass(frozen=True, slots=True)
class DrillMark(Single[Mark | None]):
    """The mark of a drill; None on a host that none hurts, and none has left anything on."""

    @property
    def command(self) -> str:
        return f"cat {MARK} && {{ cat {UNDONE} || true; }}"

    def value(self, output: bytes) -> Mark | None:
        lines = output.decode(errors="replace").splitlines()
        try:
            return Mark(**json.loads(lines[0]), undone="".join(lines[1:2]))
        except (ValueError, TypeError, IndexError):
            return None
