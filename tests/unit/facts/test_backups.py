"""What a host knows of backups, read from files as the program leaves them."""

import json
import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path, PurePosixPath

import pytest

from kbootstrap.facts.backups import BackupsSeen, HostBackups

ID = "demo-20261121T060000Z-cp1"


def index(backup: str, **changed: object) -> str:
    said = {
        "id": backup, "host": "cp1", "made": "2026-11-21T06:00:00Z", "revision": 42, "keys": 7, "db_bytes": 4096,
        "file": {"bytes": 4},
    }  # fmt: skip
    return json.dumps(said | changed) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".targets/offsite").mkdir(parents=True)
    (tmp_path / f"{ID}.json").write_text(index(ID))
    (tmp_path / f"{ID}.tar.age").write_text("1234")
    return tmp_path


def read(folder: Path, **environment: str) -> BackupsSeen:
    at = PurePosixPath(folder)
    fact = HostBackups(at, at / ".targets", at / "last.json", "no-such.timer")
    # As a fact is read: in a subshell, with what goes wrong said to nobody.
    done = subprocess.run(
        ["sh", "-c", f"(\n{fact.command}\n) 2>/dev/null </dev/null"],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )
    return fact.value(done.stdout)


def test_a_backup_and_what_was_found_out_about_it(folder: Path) -> None:
    (folder / f"{ID}.rehearsed.json").write_text('{"id": "x", "ok": true, "at": "2026-11-21T07:00:00Z", "by": "me"}\n')
    (folder / f"{ID}.verified.json").write_text('{"ok": false, "at": "2026-11-21T08:00:00Z", "error": "flipped"}\n')
    (copy,) = read(folder).places["local"]
    assert (copy.id, copy.host, copy.revision, copy.keys, copy.bytes, copy.complete) == (ID, "cp1", 42, 7, 4, True)
    assert copy.proven
    assert not copy.good
    assert copy.verified is not None
    assert copy.verified.error == "flipped"


def test_a_file_that_is_cut_off_or_missing_makes_it_incomplete(folder: Path) -> None:
    (folder / f"{ID}.tar.age").write_text("12")
    assert not read(folder).places["local"][0].good
    (folder / f"{ID}.tar.age").unlink()
    assert read(folder).places["local"][0].bytes == 0


def test_what_is_at_a_target_is_told_by_its_listing(folder: Path) -> None:
    other = ID.replace("cp1", "cp2")
    target = folder / ".targets/offsite"
    (target / f"{other}.json").write_text(index(other, host="cp2"))
    (target / ".sizes").write_text(f"4 {other}.tar.age\n200 {other}.json\n")
    found = read(folder)
    assert [copy.id for copy in found.places["offsite"]] == [other]
    assert found.places["offsite"][0].good


def test_how_the_last_run_went(folder: Path) -> None:
    said = {"at": "2026-11-21T06:00:09Z", "ok": False, "id": ID, "error": "offsite: no", "seconds": 3}
    targets = {"offsite": {"ok": False, "error": "no"}, "vault": {"ok": True, "error": None}}
    (folder / "last.json").write_text(json.dumps({**said, "targets": targets}) + "\n")
    last = read(folder).last
    assert last is not None
    assert (last.ok, last.error, last.failed_targets) == (False, "offsite: no", {"offsite": "no"})


@pytest.mark.parametrize("text", ["", "{", "[]\n", "{}\n", index(ID, made="yesterday"), index(ID, file=3)])
def test_what_is_not_ours_is_passed_over(folder: Path, text: str) -> None:
    (folder / f"{ID}.json").write_text(text)
    assert read(folder).places["local"] == ()


def test_a_host_without_any(tmp_path: Path) -> None:
    found = read(tmp_path / "nothing")
    assert (found.places, found.last, found.next) == ({}, None, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize(
    ("calendar", "pause"),
    [
        ("*-*-* 00/6:00:00", timedelta(hours=6)),
        ("Mon..Fri *-*-* 04:00:00", timedelta(days=3)),
        ("2001-01-01 00:00:00", None),
    ],
)
def test_how_long_the_timer_pauses(folder: Path, calendar: str, pause: timedelta | None) -> None:
    """With the real systemd-analyze; what systemctl says is as on a host."""
    systemctl = folder / "systemctl"
    systemctl.write_text(f"#!/bin/sh\necho '{{ OnCalendar={calendar} ; next_elapse=Sun 2026-11-22 03:00:00 UTC }}'\n")
    systemctl.chmod(0o755)
    assert read(folder, PATH=f"{folder}:{os.environ['PATH']}").pause == pause
