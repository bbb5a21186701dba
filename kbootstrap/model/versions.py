"""Versions, and their order."""

import re
from dataclasses import dataclass
from typing import Self

API_VERSION = "kbootstrap/v1"
"""The format of inventories."""

_VERSION = re.compile(r"v?(\d{1,5})\.(\d{1,5})\.(\d{1,5})")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A released version `major.minor.patch`; a leading `v` is understood and not kept."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `1.36.4` or `v1.36.4`; raises ValueError for anything else."""
        match = _VERSION.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no version: expected three numbers such as 1.36.4")
        return cls(*(int(part) for part in match.groups()))

    @property
    def series(self) -> str:
        """The minor release it belongs to, e.g. `1.36`."""
        return f"{self.major}.{self.minor}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"
