"""Kernel parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.sysctls import SysctlValue, normalized, proc_path
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Change, Paths, fingerprint, quote

_HEADER = "# Written by kbootstrap; changes here are overwritten.\n"


@dataclass(frozen=True, slots=True)
class Sysctls:
    """Kernel parameters in a file below /etc/sysctl.d, for every boot, and in force now.

    A parameter that the host does not have, or does not let anybody set, is left alone; so is one of `at_least` that
    is higher already.
    """

    path: PurePosixPath
    values: Mapping[str, str]
    at_least: frozenset[str] = frozenset()

    def needs(self) -> Sequence[Fact[Any]]:
        return (*self.file.needs(), *(SysctlValue(key) for key in self.values))

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        written = self.file.diff(seen, touched)
        now = {key: seen[SysctlValue(key)] for key in self.values}
        wrong = {
            key: wanted
            for key, wanted in self.values.items()
            if now[key] is not None and not self._fits(key, now[key] or "", normalized(wanted))
        }
        if written is None and not wrong:
            return None
        return Change(
            title="set kernel parameters",
            script="\n".join(
                [
                    *([written.script] if written else []),
                    # Also those that nobody could see: a module loaded just now may have brought them.
                    *(_set(key, self.values[key]) for key in self.values if key in wrong or now[key] is None),
                ]
            ),
            fingerprint=fingerprint("sysctls", self.path, *sorted(self.values.items())),
            diff="\n".join(
                [
                    *([written.diff] if written else []),
                    *(f"{key}: {now[key]} -> {wanted}" for key, wanted in wrong.items()),
                ]
            ),
            paths=written.paths if written else frozenset(),
        )

    def _fits(self, key: str, now: str, wanted: str) -> bool:
        return now == wanted or (key in self.at_least and int(now) >= int(wanted))

    @property
    def file(self) -> File:
        """The dash lets a boot go on where a parameter does not exist."""
        lines = (f"-{key} = {value}\n" for key, value in self.values.items())
        return File(self.path, "".join((_HEADER, *lines)).encode())


def _set(key: str, value: str) -> str:
    return f"[ ! -w {quote(proc_path(key))} ] || sysctl --quiet --write {quote(f'{key}={value}')}"
