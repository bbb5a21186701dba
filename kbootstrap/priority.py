"""Processes that measure go before all others."""

import os
from contextlib import suppress
from pathlib import Path

NICENESS = -10
AUTOGROUP = Path("/proc/self/autogroup")


def go_first() -> None:
    """The cluster is measured, not what else this machine does; only root may ask for that.

    Where Linux groups processes by session, for desktops' sake, niceness counts between the groups (sched(7)).
    """
    with suppress(OSError):
        os.nice(NICENESS)
        AUTOGROUP.write_text(str(NICENESS))
