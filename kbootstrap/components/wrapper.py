"""Commands for people on the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import File


@dataclass(frozen=True, slots=True)
class _Wrapper:
    program: PurePosixPath
    environment: Mapping[str, str]


def wrapper(program: PurePosixPath, environment: Mapping[str, str]) -> File:
    """`/usr/local/bin/NAME`: the program with its environment set, so that it works without any argument."""
    return File(LOCAL_BIN / program.name, render("shell/wrapper.sh.j2", _Wrapper(program, environment)), 0o755)
