"""The same question to many hosts at once."""

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import pytest

from kbootstrap.errors import KbootstrapError
from kbootstrap.transport.connection import Result
from kbootstrap.verify.lend import Remote

SECONDS = 30.0
AT_ONCE = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Everywhere:
    """Hosts that are asked side by side. Where none of them can be reached, a test that asks is left out."""

    remotes: Mapping[str, Remote]
    scale: float = 1.0
    """The inventory's factor for deadlines."""

    def run(self, script: str, among: Collection[str] | None = None) -> dict[str, str]:
        """What the script prints, by host; where it cannot be run, why."""
        return self.run_each({name: script for name in self.remotes if among is None or name in among})

    def run_each(self, scripts: Mapping[str, str], seconds: float = SECONDS) -> dict[str, str]:
        """The same with a script for each host, which may take so many seconds before the scale."""

        def ask(name: str) -> str:
            try:
                return _said(self.remotes[name].run_script(scripts[name], timeout=seconds * self.scale))
            except KbootstrapError as error:
                return error.message

        return self._side_by_side(list(scripts), ask)

    def clock_spread(self) -> float:
        """How far the hosts' clocks are apart at least, in seconds: the time it takes to ask counts for them."""

        def offsets(name: str) -> tuple[float, float]:
            before = time.time()
            said = self.remotes[name].run_script("date +%s.%N").text
            return float(said) - time.time(), float(said) - before

        bounds = self._side_by_side(list(self.remotes), offsets).values()
        return max(0.0, max(low for low, _ in bounds) - min(high for _, high in bounds))

    def _side_by_side(self, names: list[str], ask: Callable[[str], T]) -> dict[str, T]:
        if not names:
            pytest.skip("none of the hosts can be reached")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(names, pool.map(ask, names), strict=True))


def _said(result: Result) -> str:
    return result.text if result.ok else result.errors or result.text or f"exit code {result.exit_code}"
