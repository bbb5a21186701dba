"""The same thing on many hosts at once."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kbootstrap.errors import HostsFailed, KbootstrapError

T = TypeVar("T")
R = TypeVar("R")

MAX_PARALLEL = 64


def on_all(items: Mapping[str, T], work: Callable[[str, T], R], at_once: int = MAX_PARALLEL) -> dict[str, R]:
    """`work(name, item)` for every item, so many side by side. Raises what failed, all of it when several did."""
    if not items:
        return {}
    with ThreadPoolExecutor(max_workers=min(at_once, len(items))) as pool:
        futures = {name: pool.submit(work, name, item) for name, item in items.items()}
    failures = [error for future in futures.values() if isinstance(error := future.exception(), KbootstrapError)]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise HostsFailed(f"{len(failures)} hosts failed", failures)
    return {name: future.result() for name, future in futures.items()}
