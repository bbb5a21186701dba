"""The folder goes, whatever becomes of who made it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kbootstrap.private import private_folder

_PROGRAM = """\
import subprocess, time
from kbootstrap.private import private_folder
with private_folder() as place:
    (place / "secret").write_text("x")
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    (place / "sleep.pid").write_text(str(child.pid))
    print(place, child.pid, flush=True)
    time.sleep(60)
"""


def test_only_for_its_owner_and_gone_afterwards() -> None:
    with private_folder() as place:
        assert place.stat().st_mode & 0o777 == 0o700
        (place / "secret").write_text("x")
    assert not place.exists()


def test_gone_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), private_folder() as place:
        _ = 1 / 0
    assert not place.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_gone_with_its_processes_when_its_owner_is_killed(how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as owner:
        assert owner.stdout
        place, child = owner.stdout.readline().decode().split()
        owner.send_signal(how)
        owner.wait(10)
    deadline = time.monotonic() + 10
    while (Path(place).exists() or _lives(int(child))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(place).exists()
    assert not _lives(int(child))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
