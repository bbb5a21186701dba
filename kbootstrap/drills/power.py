"""Cutting hosts' power, and a watchdog that gives it back whatever becomes of this process."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.drills.watchdog import DISARM, READY, SWITCH_SECONDS
from kbootstrap.errors import CommandFailed
from kbootstrap.model.cluster import Cluster, Host

WATCHDOG = (sys.executable, "-P", "-m", "kbootstrap.drills.watchdog")
OURSELVES = (sys.executable, "-P", "-m", "kbootstrap.cli.main")
"""What `kbootstrap` means in a command: this very program, wherever it is."""

SCOPE = ("systemd-run", "--scope", "--quiet", "--collect")
"""Apart from the service that runs this program: when systemd ends a service, it kills everything in it."""

SYSTEMD = Path("/run/systemd/system")
"""Is there where systemd runs (sd_booted(3))."""

END_SECONDS = 10.0
"""For the watchdog to end when the switches have."""


@dataclass(frozen=True, slots=True)
class Power:
    """The power switch of a cluster's hosts: a command for each, in words."""

    off: Mapping[str, tuple[str, ...]]
    on: Mapping[str, tuple[str, ...]]

    def cut(self, hosts: Sequence[str]) -> None:
        """All at once. Raises CommandFailed."""
        _each([self.off[host] for host in hosts])

    def give(self, hosts: Sequence[str]) -> None:
        """All at once. Raises CommandFailed."""
        _each([self.on[host] for host in hosts])

    @contextmanager
    def watched(self, hosts: Sequence[str], seconds: float, log: Path) -> Iterator[None]:
        """While open, a process of its own stands by, and gives the hosts their power back when this one dies or
        `seconds` are over.
        """
        with log.open("ab") as out:
            process = subprocess.Popen(
                watchdog(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                start_new_session=True,
                bufsize=0,
            )
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both are pipes
        order = {"commands": [list(self.on[host]) for host in hosts], "seconds": seconds}
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            if process.stdout.readline().strip() != READY.encode():
                raise CommandFailed("the watchdog that gives the power back did not start", command=" ".join(WATCHDOG))
            yield
            with suppress(BrokenPipeError):  # its time was over
                process.stdin.write(DISARM)
        finally:
            process.stdin.close()
            process.wait(SWITCH_SECONDS + END_SECONDS)
            process.stdout.close()


def watchdog() -> tuple[str, ...]:
    """The command of the process that outlives this one, also a service (INVOCATION_ID: systemd.exec(5))."""
    if "INVOCATION_ID" not in os.environ or not SYSTEMD.is_dir():
        return WATCHDOG
    return (*SCOPE, *(() if os.geteuid() == 0 else ("--user",)), *WATCHDOG)


def power_of(cluster: Cluster) -> Power | None:
    """The inventory's commands for each host; None where it has none."""
    settings = cluster.settings.power
    if settings.turn_off is None or settings.turn_on is None:
        return None
    return Power(
        off={host.name: command(settings.turn_off, host) for host in cluster.hosts},
        on={host.name: command(settings.turn_on, host) for host in cluster.hosts},
    )


def command(template: str, host: Host) -> tuple[str, ...]:
    """The words of a command for a host. No shell reads them."""
    put = (word.replace("{host}", host.name).replace("{address}", str(host.address)) for word in shlex.split(template))
    first, *rest = put
    return (*(OURSELVES if first == "kbootstrap" else (first,)), *rest)


def _each(commands: Sequence[Sequence[str]]) -> None:
    with ThreadPoolExecutor(max_workers=max(1, len(commands))) as pool:
        list(pool.map(_run, commands))


def _run(words: Sequence[str]) -> None:
    title = shlex.join(words)
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SWITCH_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandFailed(f"a host's power cannot be switched: {error}", command=title) from error
    if done.returncode != 0:
        raise CommandFailed(
            "a host's power cannot be switched",
            command=title,
            output=f"{done.stdout}{done.stderr}".strip(),
            hint="power: {turn_off: …, turn_on: …} in the inventory are commands of this machine",
        )
