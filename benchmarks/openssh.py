"""Plain OpenSSH, as a shell script would use it: the baseline."""

import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kbootstrap.errors import CommandFailed

TIMEOUT = 600.0
"""Seconds that a command on a host may take: more than any of them needs on a busy machine."""
_MASTER_SECONDS = 30.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class OpenSsh:
    """`ssh -F config`; with `control`, over the connection that is kept behind that socket."""

    config: Path
    control: Path | None = None

    def run(self, host: str, script: str) -> bytes:
        """What a shell on the host prints for a script that it reads from its standard input."""
        done = subprocess.run(
            [*self._command(host), "sh"], input=script.encode(), capture_output=True, timeout=TIMEOUT, check=False
        )
        return _output(host, done)

    def run_all(self, scripts: Mapping[str, str]) -> dict[str, bytes]:
        """The same on many hosts at once, a process for each."""
        with ThreadPoolExecutor(len(scripts)) as pool:
            return dict(zip(scripts, pool.map(self.run, scripts, scripts.values()), strict=True))

    def send(self, host: str, file: Path, command: str) -> bytes:
        """What a command on the host prints that has a local file as its standard input."""
        with file.open("rb") as content:
            done = subprocess.run(
                [*self._command(host), command], stdin=content, capture_output=True, timeout=TIMEOUT, check=False
            )
        return _output(host, done)

    @contextmanager
    def kept(self, host: str, socket: Path) -> Iterator["OpenSsh"]:
        """The same over one connection, as with ControlPersist."""
        shared = replace(self, control=socket)
        with subprocess.Popen([*self._command(host), "-M", "-N", "-S", str(socket)]) as master:
            try:
                shared._wait(host)
                yield shared
            finally:
                master.terminate()

    def _command(self, host: str) -> list[str]:
        control = ["-S", str(self.control)] if self.control else []
        return ["ssh", "-F", str(self.config), "-o", "BatchMode=yes", *control, host]

    def _wait(self, host: str) -> None:
        check = [*self._command(host)[:-1], "-O", "check", host]
        deadline = time.monotonic() + _MASTER_SECONDS
        while subprocess.run(check, capture_output=True, check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise CommandFailed(f"no connection after {_MASTER_SECONDS:g} s", host=host, command="ssh -M")
            time.sleep(_POLL_SECONDS)


def _output(host: str, done: "subprocess.CompletedProcess[bytes]") -> bytes:
    if done.returncode != 0:
        said = (done.stdout[-2000:] + done.stderr).decode(errors="replace")
        raise CommandFailed(f"ssh ended with {done.returncode}", host=host, output=said)
    return done.stdout
