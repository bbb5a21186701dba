"""The prober as a process of its own: told what to do through stdin, and ends when that is closed."""

import asyncio
import json
import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

from kbootstrap.priority import go_first
from kbootstrap.probes.prober import Prober
from kbootstrap.probes.spec import Spec
from kbootstrap.probes.tls import context

READY = "ready"
"""What the first line says as soon as requests are sent; the last one is JSON, see `_account`."""


async def _run(prober: Prober) -> None:
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), _read, prober)
    _say(READY)
    await prober.run()


def _read(prober: Prober) -> None:
    """Nothing more is said through stdin: it only ends."""
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        prober.stop()


def _account(prober: Prober, began: float) -> str:
    """What the run has cost, and how true to its grid the prober was."""
    wall = time.monotonic() - began
    return json.dumps({"cpu": time.process_time() / wall, "late": prober.late, "unsent": prober.unsent})


def _say(line: str) -> None:
    with suppress(OSError):  # whoever listened may be gone
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _allow_many_connections() -> None:
    """When nothing answers, a thousand and more are open: rate x patience, for every probe."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Probes until stdin ends."""
    _allow_many_connections()
    go_first()
    spec = Spec.from_json(sys.stdin.buffer.readline())
    with Path(spec.samples).open("x", encoding="utf-8") as file:
        began = time.monotonic()
        prober = Prober(spec, context(spec.credentials), file)
        asyncio.run(_run(prober))
    _say(_account(prober, began))


if __name__ == "__main__":
    main()
