"""Rehearsals by themselves: the job."""

from dataclasses import replace
from pathlib import Path

from kbootstrap.workflows.rehearsal.schedule import Timetable, schedule
from kbootstrap.workflows.timers import LocalSystemd
from tests.unit.workflows.systemd import asked


def timetable(calendar: str = "Sun 04:00") -> Timetable:
    return Timetable("demo", calendar, Path("/srv/my 100% cluster/inventory.yml"), Path("/root/key.txt"), "offsite")


def test_a_timer_is_set_and_taken_away(systemd: LocalSystemd) -> None:
    schedule(timetable(), systemd)
    service = (systemd.folder / "kbootstrap-rehearse-demo.service").read_text()
    assert '"backup" "rehearse" "latest" "--json" "--inventory" "/srv/my 100%% cluster/inventory.yml"' in service
    assert '"--identity" "/root/key.txt" "--from" "offsite"' in service
    timer = (systemd.folder / "kbootstrap-rehearse-demo.timer").read_text()
    assert "OnCalendar=Sun 04:00" in timer
    assert "Persistent=true" in timer
    said = schedule(timetable("off"), systemd)
    assert said == "demo: no rehearsals on this machine"
    assert list(systemd.folder.iterdir()) == []
    assert "systemctl disable --now kbootstrap-rehearse-demo.timer" in asked(systemd)


def test_everything_that_was_asked_for_is_in_it(systemd: LocalSystemd) -> None:
    schedule(replace(timetable(), keys=Path("/root/keys.tar.age"), on="w1"), systemd)
    service = (systemd.folder / "kbootstrap-rehearse-demo.service").read_text()
    assert '"--from" "offsite" "--keys" "/root/keys.tar.age" "--on" "w1"' in service
