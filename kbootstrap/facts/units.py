"""systemd units: whether they run, start at boot, and whether they run with their present inputs."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from kbootstrap.facts.fact import Fact

STAMPS = PurePosixPath("/var/lib/kbootstrap/stamps")
"""A file per unit: the digest of the unit's inputs, taken just before it was last started."""


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """What systemd says of a unit; `stamp` is what it was started with, `inputs` what its inputs are now."""

    loaded: bool
    active: str
    sub: str
    enabled: str
    needs_reload: bool
    stamp: str
    inputs: str

    @property
    def running(self) -> bool:
        """Up or on its way; not a unit that systemd starts over and over because it keeps failing."""
        return self.active in ("active", "activating", "reloading") and self.sub != "auto-restart"


NO_UNIT = UnitStatus(False, "inactive", "dead", "", False, "", "")


@dataclass(frozen=True, slots=True)
class UnitState(Fact[UnitStatus]):
    """A unit's state; `inputs` are the files that it must be restarted for when they change."""

    unit: str
    inputs: tuple[PurePosixPath, ...] = ()

    @classmethod
    def script(cls, facts: Sequence[Self]) -> str:
        names = " ".join(shlex.quote(fact.unit) for fact in facts)
        show = f"systemctl show --property=Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload {names}"
        stamps = "\n".join(
            f"printf '%s %s %s\\n' {shlex.quote(fact.unit)} \"$({inputs_digest(fact.inputs)})\" "
            f'"$(cat {shlex.quote(str(STAMPS / fact.unit))})"'
            for fact in facts
        )
        return f"{show}\necho\necho stamps\n{stamps}"

    @classmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, UnitStatus]:
        shown, _, stamped = output.decode(errors="replace").partition("\nstamps\n")
        # In the order asked for, not by Id: systemd answers for an alias under the unit's own name.
        blocks = (dict(_pairs(block)) for block in shown.strip().split("\n\n"))
        units = dict(zip((fact.unit for fact in facts), blocks, strict=False))
        stamps = {line.split(" ")[0]: line.split(" ") for line in stamped.splitlines() if " " in line}
        return {fact: _status(units.get(fact.unit), stamps.get(fact.unit)) for fact in facts}


def inputs_digest(inputs: Sequence[PurePosixPath]) -> str:
    """Shell that prints a digest of all inputs: file contents, and where links lead (a binary's version)."""
    if not inputs:
        return "echo none"
    names = " ".join(shlex.quote(str(path)) for path in inputs)
    return (
        f'for f in {names}; do if [ -L "$f" ]; then readlink "$f"; elif [ -e "$f" ]; then cat "$f"; '
        "else echo missing; fi; done | sha256sum | cut -c1-64"
    )


def _pairs(block: str) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (line.partition("=") for line in block.splitlines())]


def _status(shown: dict[str, str] | None, stamped: list[str] | None) -> UnitStatus:
    if shown is None:
        return NO_UNIT
    return UnitStatus(
        loaded=shown.get("LoadState") == "loaded",
        active=shown.get("ActiveState", ""),
        sub=shown.get("SubState", ""),
        enabled=shown.get("UnitFileState", ""),
        needs_reload=shown.get("NeedDaemonReload") == "yes",
        inputs=stamped[1] if stamped and len(stamped) > 1 else "",
        stamp=stamped[2] if stamped and len(stamped) > 2 else "",
    )
