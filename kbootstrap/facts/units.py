"""systemd units: whether they run, start at boot, and whether they run with their present inputs."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from kbootstrap.facts.fact import Fact

STAMPS = PurePosixPath("/var/lib/kbootstrap/stamps")
"""A file per unit: the digest of the unit's inputs, taken just before it was last started."""

_NO_INPUTS = "none"
_MISSING = "missing"


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
        """A handful of processes, however many units and inputs there are."""
        names = " ".join(shlex.quote(fact.unit) for fact in facts)
        inputs = " ".join(dict.fromkeys(shlex.quote(str(path)) for fact in facts for path in fact.inputs))
        lines = [
            f"systemctl show --property=Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload {names}",
            f"printf '\\n\\nstamps\\n'; cd {shlex.quote(str(STAMPS))} && grep -H '' {names} /dev/null",
        ]
        if inputs:
            lines += [
                f"printf '\\nlinks\\n'; find {inputs} -maxdepth 0 -type l -printf '%p\\t%l\\n'",
                f"printf '\\nfiles\\n'; find {inputs} -maxdepth 0 -type f -exec sha256sum {{}} +",
            ]
        return "\n".join(lines)

    @classmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, UnitStatus]:
        shown, _, rest = output.decode(errors="replace").partition("\nstamps\n")
        stamped, _, rest = rest.partition("\nlinks\n")
        links, _, files = rest.partition("\nfiles\n")
        # In the order asked for, not by Id: systemd answers for an alias under the unit's own name.
        blocks = (dict(_pairs(block)) for block in shown.strip().split("\n\n"))
        units = dict(zip((fact.unit for fact in facts), blocks, strict=False))
        stamps = dict(line.partition(":")[::2] for line in stamped.splitlines())
        targets = dict(line.partition("\t")[::2] for line in links.splitlines())
        said = {path: f"{digest}  -" for digest, _, path in (line.partition("  ") for line in files.splitlines())}
        return {
            fact: _status(units.get(fact.unit), stamps.get(fact.unit, ""), _digest(fact.inputs, said | targets))
            for fact in facts
        }


def inputs_digest(inputs: Sequence[PurePosixPath]) -> str:
    """Shell that prints a digest of all inputs: of files' contents, and where links lead (a binary's version)."""
    if not inputs:
        return f"echo {_NO_INPUTS}"
    names = " ".join(shlex.quote(str(path)) for path in inputs)
    return (
        f'set -- {names}; for f; do if [ -L "$f" ]; then readlink "$f"; elif [ -f "$f" ]; then sha256sum <"$f"; '
        f"else echo {_MISSING}; fi; done | sha256sum | cut -c1-64"
    )


def _digest(inputs: Sequence[PurePosixPath], said: Mapping[str, str]) -> str:
    """The same as `inputs_digest`, from what was read."""
    if not inputs:
        return _NO_INPUTS
    lines = "".join(f"{said.get(str(path), _MISSING)}\n" for path in inputs)
    return hashlib.sha256(lines.encode()).hexdigest()


def _pairs(block: str) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (line.partition("=") for line in block.splitlines())]


def _status(shown: dict[str, str] | None, stamp: str, inputs: str) -> UnitStatus:
    if shown is None:
        return NO_UNIT
    return UnitStatus(
        loaded=shown.get("LoadState") == "loaded",
        active=shown.get("ActiveState", ""),
        sub=shown.get("SubState", ""),
        enabled=shown.get("UnitFileState", ""),
        needs_reload=shown.get("NeedDaemonReload") == "yes",
        stamp=stamp,
        inputs=inputs,
    )
