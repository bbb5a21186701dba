"""Power comes back whatever becomes of the process that cut it: real processes, and files in place of hosts."""

import os
import signal
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kbootstrap.drills.power import OURSELVES, SCOPE, WATCHDOG, Power, command, power_of, watchdog
from kbootstrap.errors import CommandFailed
from kbootstrap.model.cluster import Host
from tests.unit.drills.stage import VIP

LONG = 60.0
HOST = Host("cp1", IPv4Address("198.18.0.11"), frozenset())

CUTTING = """\
import sys, time
from pathlib import Path
from kbootstrap.drills.power import Power
with Power({{}}, {{"w1": ("touch", {on!r})}}).watched(("w1",), 60, Path({log!r})):
    print("cut", flush=True)
    time.sleep(60)
"""


def switch(folder: Path) -> Power:
    return Power(off={"w1": ("touch", str(folder / "off"))}, on={"w1": ("touch", str(folder / "on"))})


def wait_for(file: Path) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if file.exists():
            return True
        time.sleep(0.05)
    return False


def test_switching(tmp_path: Path) -> None:
    switch(tmp_path).cut(("w1",))
    switch(tmp_path).give(("w1",))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["off", "on"]


@pytest.mark.parametrize("words", [("false",), ("/no/such/program",)])
def test_a_switch_that_fails(words: tuple[str, ...]) -> None:
    with pytest.raises(CommandFailed, match="power cannot be switched"):
        Power({"w1": words}, {}).cut(("w1",))


def test_a_drill_that_ends_well_leaves_the_switch_alone(tmp_path: Path) -> None:
    with switch(tmp_path).watched(("w1",), LONG, tmp_path / "log"):
        pass
    assert not (tmp_path / "on").exists()


def test_power_comes_back_when_the_drill_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), switch(tmp_path).watched(("w1",), LONG, tmp_path / "log"):
        raise ZeroDivisionError
    assert (tmp_path / "on").exists()


def test_power_comes_back_when_the_time_is_over(tmp_path: Path) -> None:
    with switch(tmp_path).watched(("w1",), 0.2, tmp_path / "log"):
        assert wait_for(tmp_path / "on")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_power_comes_back_when_the_drill_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    text = CUTTING.format(on=str(tmp_path / "on"), log=str(tmp_path / "log"))
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"cut\n"
        os.killpg(process.pid, how)  # the watchdog has a session of its own
    assert wait_for(tmp_path / "on")


def test_commands_are_words_and_no_shell_reads_them() -> None:
    said = command("fence --plug '{host};reboot' --to {address}", HOST)
    assert said == ("fence", "--plug", "cp1;reboot", "--to", "198.18.0.11")
    assert command("kbootstrap lab power-off {host}", HOST) == (*OURSELVES, "lab", "power-off", "cp1")


def test_without_commands_there_is_no_switch() -> None:
    assert power_of(VIP) is None


def test_as_a_service_of_systemd_the_watchdog_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kbootstrap.drills.power.SYSTEMD", tmp_path)
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    assert watchdog() == WATCHDOG
    monkeypatch.setenv("INVOCATION_ID", "0123")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert watchdog() == (*SCOPE, *WATCHDOG)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert watchdog() == (*SCOPE, "--user", *WATCHDOG)
    monkeypatch.setattr("kbootstrap.drills.power.SYSTEMD", tmp_path / "not")
    assert watchdog() == WATCHDOG
