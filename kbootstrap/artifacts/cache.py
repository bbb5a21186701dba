"""The content-addressed store of artifacts on the control machine."""

import os
from pathlib import Path


class Cache:
    """Files by SHA-256 below `root`, and an index that says what they are."""

    def __init__(self, root: Path) -> None:
        self.root = root


def default_cache() -> Cache:
    """The user's cache: `kbootstrap/artifacts` in XDG_CACHE_HOME, or in `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return Cache((Path(base) if base else Path.home() / ".cache") / "kbootstrap" / "artifacts")
