"""A process that gives hosts their power back when a drill dies: its stdin is closed then.

It is told the commands through stdin, as a line of JSON, and to do nothing by another line at the end.
"""

import json
import select
import subprocess
import sys

READY = "ready"
DISARM = b"disarm\n"

SWITCH_SECONDS = 300.0


def main() -> None:
    """Waits for the end of the drill, its death, or the end of the time."""
    order = json.loads(sys.stdin.buffer.readline())
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    readable, _, _ = select.select([sys.stdin.buffer], [], [], order["seconds"])
    if readable and sys.stdin.buffer.readline() == DISARM:
        return
    switches = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=sys.stderr) for words in order["commands"]]
    for switch in switches:
        switch.wait(SWITCH_SECONDS)


if __name__ == "__main__":
    main()
