"""Rehearsals by themselves: the units that are written."""

import subprocess
from pathlib import Path

import pytest

from kbootstrap.errors import InvalidInput
from kbootstrap.workflows.rehearsal import schedule as module
from kbootstrap.workflows.rehearsal.schedule import Systemd, Timetable, schedule


@pytest.fixture
def systemd(tmp_path: Path) -> Systemd:
    """One that does nothing, and says what it was asked."""
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n')
    program.chmod(0o755)
    return Systemd(tmp_path / "units", (str(program),))


def timetable(calendar: str = "Sun 04:00") -> Timetable:
    return Timetable("demo", calendar, Path("/srv/my 100% cluster/inventory.yml"), Path("/root/key.txt"), "offsite")


def asked(systemd: Systemd) -> list[str]:
    return (systemd.folder.parent / "asked").read_text().splitlines()


def test_a_timer_is_set_and_taken_away(systemd: Systemd) -> None:
    schedule(timetable(), systemd)
    service = (systemd.folder / "kbootstrap-rehearse-demo.service").read_text()
    assert '"backup" "rehearse" "latest" "--json" "--inventory" "/srv/my 100%% cluster/inventory.yml"' in service
    assert '"--identity" "/root/key.txt" "--from" "offsite"' in service
    assert "OnCalendar=Sun 04:00" in (systemd.folder / "kbootstrap-rehearse-demo.timer").read_text()
    assert asked(systemd)[:2] == ["daemon-reload", "enable --now kbootstrap-rehearse-demo.timer"]
    schedule(timetable("off"), systemd)
    assert list(systemd.folder.iterdir()) == []
    assert "disable --now kbootstrap-rehearse-demo.timer" in asked(systemd)
    schedule(timetable("off"), systemd)


def test_systemd_understands_the_units(systemd: Systemd) -> None:
    schedule(timetable(), systemd)
    units = [str(path) for path in systemd.folder.iterdir()]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "kbootstrap-rehearse" in line]
    assert ours == []


def test_a_time_that_is_none_is_refused(systemd: Systemd) -> None:
    with pytest.raises(InvalidInput, match="no time that systemd understands"):
        schedule(timetable("whenever"), systemd)
    assert not systemd.folder.exists()


def test_whose_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/ada/config")
    assert module._folder(root=True) == Path("/etc/systemd/system")
    assert module._folder(root=False) == Path("/home/ada/config/systemd/user")
