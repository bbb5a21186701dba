"""A process that gives hosts their power back when a drill dies: its stdin is closed then.

It is told the commands through stdin, as a line of JSON, and to do nothing by another line at the end.
"""

import json
import select
import subprocess
import sys
import time
from contextlib import suppress

READY = "ready"
DISARM = b"disarm\n"

SWITCH_SECONDS = 120.0
"""For a command that switches a host; one may wait until the host has booted."""


def main() -> None:
    """Waits for the end of the drill, its death, or the end of the time."""
    order = json.loads(sys.stdin.buffer.readline())
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    readable, _, _ = select.select([sys.stdin.buffer], [], [], order["seconds"])
    if readable and sys.stdin.buffer.readline() == DISARM:
        return
    switches = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=sys.stderr) for words in order["commands"]]
    deadline = time.monotonic() + SWITCH_SECONDS
    for switch in switches:
        with suppress(subprocess.TimeoutExpired):
            switch.wait(max(0.0, deadline - time.monotonic()))


if __name__ == "__main__":
    main()
