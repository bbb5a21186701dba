"""A scratch place on a host, with this machine's shell in its place: what runs there ends, and nothing is left."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kbootstrap.errors import CommandFailed
from kbootstrap.transport.connection import Result
from kbootstrap.workflows.rehearsal.on_host import HIGHEST_PORT, LOWEST_PORT, host_scratch
from kbootstrap.workflows.rehearsal.scratch import wait
from kbootstrap.workflows.restore.faults import Unproven
from tests.fakes import FakeConnection


class Here(FakeConnection):
    """A host whose commands run in this machine's shell."""

    def run(self, command: str, *, stdin: bytes | None = None, timeout: float = 60, on_line: Any = None) -> Result:
        done = subprocess.run(["sh", "-c", command], input=stdin, capture_output=True, timeout=timeout, check=False)
        return Result("here", command, done.returncode, done.stdout, done.stderr, 0.0)

    def put(self, content: bytes, path: str, *, mode: int = 0o600) -> None:
        Path(path).write_bytes(content)
        Path(path).chmod(mode)

    def put_file(self, source: str, path: str, *, mode: int = 0o644) -> None:
        shutil.copy(source, path)
        Path(path).chmod(mode)

    @contextmanager
    def hold(self, command: str, *, timeout: float = 60) -> Iterator[str]:
        process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(30)


@pytest.fixture
def here() -> Here:
    return Here("w1")


def pid_of(folder: Path, name: str) -> int:
    deadline = time.monotonic() + 30
    while not (path := folder / f"{name}.pid").exists() or not path.read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(path.read_text())


def runs(pid: int) -> bool:
    """Also after its end it has a number, until its parent has looked at it."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def test_what_runs_there_ends_with_it(here: Here, tmp_path: Path) -> None:
    with host_scratch(here, 0, str(tmp_path)) as place:
        folder = place.path(".")
        assert folder.stat().st_mode & 0o777 == 0o700
        place.start("sleeper", ("sleep", "60"))
        pid = pid_of(folder, "sleeper")
        assert place.ended("sleeper") == ""
    assert not folder.exists()
    assert not runs(pid)


def test_programs_and_files(here: Here, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "$WHO: $(cat "$1")"\n')
    with host_scratch(here, 0, str(tmp_path)) as place:
        there = place.bring(program)
        secret = place.write("secret", b"it is")
        assert secret.stat().st_mode & 0o777 == 0o600
        assert place.run((there, secret), seconds=10, environment={"WHO": "me and you"}) == "me and you: it is\n"
        with pytest.raises(CommandFailed, match="ended with a failure") as error:
            place.run(("sh", "-c", "echo no >&2; exit 3"), seconds=10)
        assert error.value.output == "no"


def test_a_process_that_ends_says_why(here: Here, tmp_path: Path) -> None:
    with host_scratch(here, 0, str(tmp_path)) as place:
        place.start("etcd", ("sh", "-c", "echo the disk is broken; exit 1"))
        pid_of(place.path("."), "etcd")
        with pytest.raises(Unproven, match="etcd ended on the restored data") as error:
            wait(place, "etcd", lambda: False, seconds=30)
        assert error.value.output == "the disk is broken"


def test_ports_are_free_and_differ(here: Here, tmp_path: Path) -> None:
    with host_scratch(here, 0, str(tmp_path)) as place:
        ports = place.ports(3)
    assert len(set(ports)) == 3
    assert all(LOWEST_PORT <= port <= HIGHEST_PORT for port in ports)


def test_without_room_nothing_is_begun(here: Here, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="a rehearsal needs"), host_scratch(here, 2**60, str(tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []
