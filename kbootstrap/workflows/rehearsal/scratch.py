"""A scratch place: processes on loopback ports, in a folder that takes them with it; here, on this machine."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kbootstrap.errors import CommandFailed
from kbootstrap.workflows.restore.faults import Unproven

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.1
STOP_SECONDS = 10
_LAST_LINES = 15

_RUN = 'echo $$ >"$1"; shift; exec "$@"'
"""The folder's keeper must know a process before that does anything."""


class Place(Protocol):
    """Where a backup is tried. Paths are those of its machine."""

    def bring(self, file: Path) -> Path:
        """A file of this machine, where the place's programs find it."""
        ...

    def write(self, name: str, content: bytes) -> Path:
        """A file that only its user may read."""
        ...

    def path(self, name: str) -> Path:
        """Where something of that name may be made."""
        ...

    def run(self, argv: Sequence[object], *, seconds: float, environment: Mapping[str, str] | None = None) -> str:
        """A program's output. Raises CommandFailed."""
        ...

    def start(self, name: str, argv: Sequence[object]) -> None:
        """A process that runs until it is stopped, or the folder goes."""
        ...

    def ended(self, name: str) -> str:
        """How a process ended, in words; nothing while it runs."""
        ...

    def said(self, name: str) -> str:
        """The last lines of a process's log."""
        ...

    def ports(self, count: int) -> list[int]:
        """Ports of its loopback that nobody listens on, all different."""
        ...

    def reach(self, port: int) -> int:
        """The port of this machine's loopback that leads to one of its."""
        ...

    def stop(self) -> None:
        """Ends all processes. They have nothing to save."""
        ...


def wait(place: Place, name: str, ready: Callable[[], bool], *, seconds: float) -> None:
    """Until a process is ready. Raises Unproven with its last words when it ends, or is not in time."""
    deadline = time.monotonic() + seconds
    while not ready():
        how = place.ended(name)
        if how:
            raise Unproven(f"{name} {how} on the restored data", output=place.said(name))
        if time.monotonic() > deadline:
            raise Unproven(f"{name} was not ready within {seconds:.0f} s", output=place.said(name))
        time.sleep(POLL_SECONDS)


def free_ports(count: int) -> list[int]:
    """Ports of this machine's loopback that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@dataclass(slots=True)
class Scratch:
    """A private folder of this machine (see kbootstrap/private.py), and what runs in it."""

    folder: Path
    _running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def bring(self, file: Path) -> Path:
        return file

    def path(self, name: str) -> Path:
        return self.folder / name

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        with open(path, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(content)
        return path

    def run(self, argv: Sequence[object], *, seconds: float, environment: Mapping[str, str] | None = None) -> str:
        words = [str(word) for word in argv]
        shown = " ".join([Path(words[0]).name, *words[1:]])
        try:
            done = subprocess.run(
                words, cwd=self.folder, env={**os.environ, **(environment or {})}, timeout=seconds,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"took longer than {seconds:.0f} s", command=shown) from None
        except OSError as error:
            raise CommandFailed(f"cannot be run: {error.strerror}", command=shown) from error
        if done.returncode != 0:
            raise CommandFailed("ended with a failure", command=shown, output=last_lines(done.stderr or done.stdout))
        return done.stdout

    def start(self, name: str, argv: Sequence[object]) -> None:
        log = self.folder / f"{name}.log"
        words = ["sh", "-c", _RUN, name, str(self.folder / f"{name}.pid"), *(str(word) for word in argv)]
        with log.open("wb") as output:
            self._running[name] = subprocess.Popen(
                words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def ended(self, name: str) -> str:
        code = self._running[name].poll()
        return "" if code is None else f"ended with exit code {code}"

    def said(self, name: str) -> str:
        return last_lines((self.folder / f"{name}.log").read_text(errors="replace"))

    def ports(self, count: int) -> list[int]:
        return free_ports(count)

    def reach(self, port: int) -> int:
        return port

    def stop(self) -> None:
        """The last one first."""
        for name, process in reversed(self._running.items()):
            process.kill()
            process.wait(STOP_SECONDS)
            (self.folder / f"{name}.pid").unlink(missing_ok=True)
        self._running.clear()


def last_lines(text: str) -> str:
    """What matters of a log."""
    return "\n".join(text.strip().splitlines()[-_LAST_LINES:])
