"""Locks, answers and programs: what the lab waits for."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbootstrap.errors import LabError
from kbootstrap.lab import command, reach
from kbootstrap.lab.lab import _patience
from kbootstrap.lab.lock import locked
from kbootstrap.lab.spec import standard


def test_a_lock_is_for_one_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", timeout=1), pytest.raises(LabError, match="somebody else holds"):  # noqa: SIM117
        with locked(tmp_path / "lock", timeout=0.1):
            pass
    with locked(tmp_path / "lock", timeout=0.1):
        pass


def test_a_lock_outlives_its_holder_in_a_child_that_inherited_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, timeout=1) as lock:
        child = subprocess.Popen(["sleep", "60"], stdin=lock)
    try:
        with pytest.raises(LabError), locked(path, timeout=0.1):
            pass
        child.send_signal(signal.SIGKILL)
        with locked(path, timeout=1):
            pass
    finally:
        child.kill()
        child.wait()


def test_who_waited_for_a_lock_file_that_was_removed_takes_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = threading.Event()

    def hold_and_remove() -> None:
        with locked(path, timeout=1):
            held.set()
            time.sleep(0.2)
            path.unlink()

    holder = threading.Thread(target=hold_and_remove)
    holder.start()
    held.wait()
    with locked(path, timeout=2) as lock:
        assert os.path.samestat(os.fstat(lock), path.stat())
    holder.join()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def door(port: int) -> reach.Door:
    return reach.Door("h", "127.0.0.1", port, None, Path("/dev/null"))


def greet(server: socket.socket, words: bytes) -> None:
    peer, _ = server.accept()
    with peer:
        peer.sendall(words)


def test_a_host_answers_when_its_sshd_greets(server: socket.socket) -> None:
    threading.Thread(target=greet, args=(server, b"SSH-2.0-x\r\n"), daemon=True).start()
    assert reach.answering([door(server.getsockname()[1])], timeout=5) == {"h"}


def test_what_greets_otherwise_or_not_at_all_is_no_answer(server: socket.socket) -> None:
    threading.Thread(target=greet, args=(server, b"220 ftp\r\n"), daemon=True).start()
    start = time.monotonic()
    assert reach.answering([door(server.getsockname()[1])], timeout=0.3) == set()
    assert time.monotonic() - start < 2


def test_nobody_to_wait_for_is_no_wait() -> None:
    assert reach.answering([], timeout=60) == set()


def test_a_failed_program_is_told_with_its_output() -> None:
    with pytest.raises(LabError) as failed:
        command.run(["sh", "-c", "echo reason >&2; exit 3"])
    assert (failed.value.output, failed.value.command) == ("reason", "sh -c echo reason >&2; exit 3")


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(LabError, match=r"no end after 0\.1 s"):
        command.run(["sleep", "60"], timeout=0.1)


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LabError) as missing:
        command.require_programs(vms=False)
    assert missing.value.hint == (
        "apt-get install --yes iproute2 mmdebstrap openssh-client systemd-container util-linux"
    )


def test_virtual_machines_need_more_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LabError, match="qemu-system-x86"):
        command.require_programs(vms=True)


def test_an_emulated_sshd_has_longer_to_greet_than_that_of_a_container() -> None:
    mixed = standard(control_planes=1, workers=0, load_balancers=2, vm=["lb1"])
    assert _patience(mixed, ["cp1", "lb1"], 2.0) == 10.0
    assert _patience(mixed, ["cp1", "lb2"], 2.0) == 2.0
