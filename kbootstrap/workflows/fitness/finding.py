"""One thing that a host was found to have or lack."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kbootstrap.errors import Problem
from kbootstrap.facts.fact import Facts
from kbootstrap.model.cluster import Cluster, Host

Topic = Literal["access", "system", "resources", "disk", "clock", "network", "services"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found on a host, and the remedy. `stops` when nothing can be installed before it is mended."""

    host: str
    topic: Topic
    message: str
    hint: str
    stops: bool = True

    @property
    def problem(self) -> Problem:
        """The finding as errors carry it."""
        return Problem(f"{self.host}: {self.message}", hint=self.hint)


HostCheck = Callable[[Cluster, Host, Facts], Iterator[Finding]]
"""Judges a host by what was read from it."""

ClusterCheck = Callable[[Cluster, Mapping[str, Facts]], Iterator[Finding]]
"""Judges hosts by comparing them."""
