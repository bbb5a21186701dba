"""What labs change on the machine is put back with the last of them."""

from pathlib import Path

import pytest

from kbootstrap.lab import machine

SETTINGS = (*machine._AT_LEAST, *machine._TOUCHED_BY_HOSTS)
INSTANCES = "fs/inotify/max_user_instances"


@pytest.fixture
def sysctls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of our own: settings that are all 7."""
    sysctls, state = tmp_path / "sys", tmp_path / "state"
    for name in SETTINGS:
        (sysctls / name).parent.mkdir(parents=True, exist_ok=True)
        (sysctls / name).write_text("7\n")
    monkeypatch.setattr(machine, "_SYSCTLS", sysctls)
    monkeypatch.setattr(machine, "STATE", state)
    monkeypatch.setattr(machine, "_NOTED", state / "sysctls.json")
    monkeypatch.setattr(machine, "_LOCK", tmp_path / "lock")
    return sysctls


def values(sysctls: Path) -> set[str]:
    return {(sysctls / name).read_text().strip() for name in SETTINGS}


def test_the_last_lab_puts_everything_back(sysctls: Path) -> None:
    first, second = machine.STATE / "one", machine.STATE / "two"
    machine.claim(first)
    assert int((sysctls / INSTANCES).read_text()) > 7
    (sysctls / "kernel/panic").write_text("10\n")  # a kubelet on a host
    machine.claim(second)

    machine.release(first)
    assert (sysctls / "kernel/panic").read_text() == "10\n"
    assert second.exists()
    machine.release(second)
    assert values(sysctls) == {"7"}
    assert not machine.STATE.exists()


def test_more_than_is_needed_stays(sysctls: Path) -> None:
    (sysctls / INSTANCES).write_text("1000000\n")
    machine.claim(machine.STATE / "one")
    assert (sysctls / INSTANCES).read_text() == "1000000\n"


def test_taking_away_what_is_not_there_changes_nothing(sysctls: Path) -> None:
    machine.release(machine.STATE / "one")
    assert values(sysctls) == {"7"}
