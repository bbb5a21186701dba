"""A step and a change.

A step is pure: it names the facts it needs and, given them, yields the change that is due, or None. A change is
a value too: a title, a diff for people, and a shell script for the host. So a plan is made without touching
anything, one round trip makes many changes, and tests need no host.
"""

import base64
import hashlib
import shlex
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Protocol, runtime_checkable

from kbootstrap.facts.fact import Fact, Facts

Paths = AbstractSet[PurePosixPath]

MASKED = "(secret, not shown)"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that will be done to a host.

    `script` is POSIX shell, run as root with `set -eu`, and may be run again after it died half-way. It may hold
    secrets: it is sent through stdin and never shown. `fingerprint` stands for the state the change leads to, without
    the content of secrets: equal for equal plans, also where a key is made anew each time a plan is.
    """

    title: str
    script: str = field(repr=False)
    fingerprint: str
    diff: str = ""
    paths: Paths = frozenset()
    deliveries: tuple[str, ...] = ()
    """SHA-256 digests of the artifacts that the script fetches."""
    disrupts: bool = False
    """Whether something that serves is stopped meanwhile."""
    reboots: bool = False
    """Whether the script makes the host boot anew, soon after it has ended."""


class Step(Protocol):
    """A piece of desired state on one host."""

    def needs(self) -> Sequence[Fact[Any]]:
        """What must be read to decide."""
        ...

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        """The change that is due. `touched` are the paths that earlier changes of the same plan write."""
        ...


@runtime_checkable
class Serving(Protocol):
    """A step that knows whether clients of the host would feel it."""

    def serves(self, seen: Facts) -> bool:
        """Whether what it is about runs already."""
        ...


def fingerprint(*parts: object) -> str:
    """A digest that stands for a desired state."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def quote(value: object) -> str:
    """`value` as one word of a shell command."""
    return shlex.quote(str(value))


def write_file(path: PurePosixPath, content: bytes, mode: int, owner: str, group: str) -> str:
    """Shell that puts a file in place atomically: never half written, never readable too widely."""
    encoded = base64.encodebytes(content).decode()
    temporary = quote(path.with_name(f".{path.name}.kbootstrap"))
    return (
        f"umask 077; mkdir -p {quote(path.parent)}\n"
        f"base64 -d >{temporary} <<'END_OF_FILE'\n{encoded}END_OF_FILE\n"
        f"chown {quote(f'{owner}:{group}')} {temporary}\n"
        f"chmod {mode:04o} {temporary}\n"
        f"mv -fT {temporary} {quote(path)}"
    )
