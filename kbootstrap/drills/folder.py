"""Where results are. Light: commands that need none do not load what reads them."""

from pathlib import Path

from kbootstrap.engine.journal import state_folder


def drills_folder(cluster: str) -> Path:
    """Where this machine keeps the results of a cluster's drills."""
    return state_folder(cluster) / "drills"
