"""Kernel parameters as they are now."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from kbootstrap.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class SysctlValue(Fact[str | None]):
    """The value of kernel parameter `key`; None where it does not exist or cannot be set (as in a container)."""

    key: str

    @classmethod
    def script(cls, facts: Sequence[Self]) -> str:
        """Slashes in a key stand for the dots of an interface's name, as for sysctl(8)."""
        names = " ".join(shlex.quote(proc_path(fact.key)) for fact in facts)
        return f'set --; for f in {names}; do [ ! -w "$f" ] || set -- "$@" "$f"; done; grep -H "" "$@" /dev/null'

    @classmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, str | None]:
        lines = output.decode(errors="replace").splitlines()
        return {fact: _value(f"{proc_path(fact.key)}:", lines) for fact in facts}


def _value(prefix: str, lines: Sequence[str]) -> str | None:
    """What a parameter's file holds; an empty one is as good as none."""
    found = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
    return normalized(" ".join(found)) if found else None


def normalized(value: str) -> str:
    """A value with single blanks between its parts: the kernel prints tabs."""
    return " ".join(value.split())


def proc_path(key: str) -> str:
    """The file in /proc of a kernel parameter."""
    return "/proc/sys/" + key.translate(str.maketrans("./", "/."))
