"""Commands that run by themselves: the units, and what becomes of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from kbootstrap.errors import CommandFailed, InvalidInput
from kbootstrap.workflows.timers import (
    Job,
    LocalSystemd,
    RemoteSystemd,
    install,
    next_time,
    passed_on,
    remove,
    units,
    units_folder,
)
from tests.fakes import FakeConnection
from tests.unit.workflows.systemd import asked, complaints

JOB = Job(
    unit="kbootstrap-drill-demo",
    title="Failover drills of demo, 100% real",
    calendar="Sun *-*-* 04:00:00",
    command=("/bin/echo", "a b", 'quote"d', "$HOME", "100%"),
    environment={"HOME": "/home/ada $HOME", "XDG_STATE_HOME": "/var/lib/x"},
    service=("KillMode=mixed",),
    on_failure=("page-somebody.service",),
)


def test_a_job_is_installed_and_removed(systemd: LocalSystemd) -> None:
    assert next_time(JOB.unit, systemd) == ""
    install(JOB, systemd)
    assert asked(systemd)[:3] == [
        "systemctl daemon-reload",
        "systemctl enable kbootstrap-drill-demo.timer",
        "systemctl restart kbootstrap-drill-demo.timer",
    ]
    install(replace(JOB, calendar="Mon 05:00"), systemd)
    assert "OnCalendar=Mon 05:00" in (systemd.folder / "kbootstrap-drill-demo.timer").read_text()
    remove(JOB.unit, systemd)
    assert list(systemd.folder.iterdir()) == []
    assert asked(systemd)[-2:] == ["systemctl disable --now kbootstrap-drill-demo.timer", "systemctl daemon-reload"]
    remove(JOB.unit, systemd)
    assert asked(systemd)[-1] == "systemctl daemon-reload"


def test_words_reach_the_command_as_they_are() -> None:
    service = units(JOB)["kbootstrap-drill-demo.service"].decode()
    assert r'ExecStart="/bin/echo" "a b" "quote\"d" "$$HOME" "100%%"' in service
    assert 'Environment="HOME=/home/ada $HOME" "XDG_STATE_HOME=/var/lib/x"' in service
    assert "Description=Failover drills of demo, 100%% real" in service


def test_a_failure_is_told() -> None:
    made = units(JOB)
    assert (
        "OnFailure=kbootstrap-drill-demo-failed.service page-somebody.service\n" in made[f"{JOB.unit}.service"].decode()
    )
    failed = made[JOB.failed_unit].decode()
    assert "--priority=err" in failed
    assert "journalctl -u kbootstrap-drill-demo says why" in failed


@pytest.mark.parametrize("catch_up", [True, False])
def test_what_was_missed(catch_up: bool) -> None:
    timer = units(replace(JOB, catch_up=catch_up))[f"{JOB.unit}.timer"].decode()
    assert f"Persistent={str(catch_up).lower()}\n" in timer


def test_systemd_understands_the_units(systemd: LocalSystemd) -> None:
    install(replace(JOB, on_failure=()), systemd)
    assert complaints(systemd) == []
    broken = systemd.folder / "kbootstrap-drill-demo.service"
    broken.write_text(broken.read_text().replace("ExecStart=", "ExecBegin="))
    assert complaints(systemd) != []


def test_a_time_that_is_none_is_refused(systemd: LocalSystemd) -> None:
    with pytest.raises(InvalidInput, match="no time that systemd understands"):
        install(replace(JOB, calendar="whenever"), systemd)
    assert not systemd.folder.exists()


def test_a_user_has_a_systemd_of_their_own(systemd: LocalSystemd) -> None:
    install(JOB, replace(systemd, scope=("--user",)))
    assert asked(systemd)[0] == "systemctl --user daemon-reload"


def test_a_machine_without_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandFailed) as caught:
        LocalSystemd(tmp_path).run("systemctl", "daemon-reload")
    assert caught.value.hint == "a timer needs systemd"


def test_whose_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/ada/config")
    assert units_folder(root=True) == Path("/etc/systemd/system")
    assert units_folder(root=False) == Path("/home/ada/config/systemd/user")


def test_of_the_environment_only_places_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("KUBECONFIG_SECRET", "x")
    assert passed_on()["HOME"] == "/home/ada"
    assert "KUBECONFIG_SECRET" not in passed_on()


def test_a_host_gets_the_same_units() -> None:
    host = FakeConnection("ops1")
    host.expect("systemd-analyze calendar 'Sun *-*-* 04:00:00'")
    for word in ("daemon-reload", "enable kbootstrap-drill-demo.timer", "restart kbootstrap-drill-demo.timer"):
        host.expect(f"systemctl {word}")
    host.expect("test -e /etc/systemd/system/kbootstrap-drill-demo.timer")
    host.expect("systemctl list-timers --no-pager --no-legend kbootstrap-drill-demo.timer", "Sun 04:00\n")
    assert install(JOB, RemoteSystemd(host)) == "Sun 04:00"
    written = {path.rpartition("/")[2]: file for path, file in host.written.items()}
    assert {name: file.content for name, file in written.items()} == units(JOB)
    assert {file.mode for file in written.values()} == {0o644}
