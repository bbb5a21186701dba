"""Backups as they land on hosts, compared with files that people have reviewed, and as the programs see them."""

import re
from pathlib import Path

import pytest

from kbootstrap.components import backup
from kbootstrap.components.service import UNITS
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Step
from tests.golden import sites
from tests.golden.test_tools import needs, place, run
from tests.golden.text import host_text

FILE = Path(__file__).parent / "backup/cp2.txt"
SECTION = {
    "schedule": "*-*-* 00/6:00:00",
    "recipients": ["age1" + "q" * 58, "age1" + "p" * 58],
    "targets": {
        "offsite": {
            "type": "s3",
            "path": "bucket/with spaces/",
            "options": {"provider": "Other", "endpoint": "https://s3.example", "access_key_id": "robot"},
            "secrets": {"secret_access_key": {"file": "/password"}},
        },
        "vault": {"type": "sftp", "path": "/srv/backups", "secrets": {"key_pem": {"file": "/ca.pem"}}},
        "disk": {"type": "local", "path": "/mnt/backup"},
    },
    "on_failure": ["page-somebody.service"],
}


def steps(section: object, name: str = "cp2") -> list[Step]:
    """The steps of an etcd host."""
    cluster = sites.cluster(sites.TOPOLOGIES["local"].hosts, {"backup": section})
    return backup.backup(sites.site(cluster, name))


def files(section: object) -> dict[str, File]:
    return {step.path.name: step for step in steps(section) if isinstance(step, File)}


def test_what_lands_on_an_etcd_host(update_golden: bool) -> None:
    found = host_text([("backup", steps(SECTION))])
    if update_golden:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(found)
    assert found == FILE.read_text()


def test_only_etcd_hosts_make_backups() -> None:
    assert steps(SECTION, "w1") == []


def test_secrets_are_in_one_file_that_only_root_can_read() -> None:
    found = files(SECTION)
    secret = found["rclone.conf"]
    assert (secret.mode, secret.owner, secret.secret) == (0o600, "root", True)
    assert b"secret_access_key = s3cret\n" in secret.content
    assert [name for name, file in found.items() if b"s3cret" in file.content] == ["rclone.conf"]


def test_every_host_waits_for_the_ones_before_it() -> None:
    delays = []
    for name in ("cp1", "cp2", "cp3"):
        service = next(
            step for step in steps(SECTION, name) if isinstance(step, File) and step.path.name == backup.SERVICE
        )
        delays.append(re.findall(rb"/bin/sleep (\d+)", service.content))
    assert delays == [[], [b"30"], [b"60"]]


def test_without_recipients_the_timer_and_the_secrets_go() -> None:
    assert host_text([("backup", steps({}))]) == (
        "##### backup\n=== no unit etcd-backup.timer\n=== absent /etc/systemd/system/etcd-backup.timer\n"
        "=== absent /etc/kbootstrap/backup/rclone.conf\n"
    )


@needs("shellcheck")
@pytest.mark.parametrize("section", [SECTION, {"recipients": SECTION["recipients"]}])
def test_shellcheck_accepts_the_program(section: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "etcd-backup"
    file.write_bytes(files(section)["etcd-backup"].content)
    run("shellcheck", str(file))


@needs("systemd-analyze")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    units = [file for file in files(SECTION).values() if file.path.parent == UNITS]
    assert {unit.path.name for unit in units} == {backup.TIMER, backup.SERVICE, backup.FAILED}
    for unit in units:
        place(tmp_path, unit.path, unit.content)
    place(tmp_path, backup.PROGRAM, b"#!/bin/sh\n", 0o755)
    place(tmp_path, type(backup.PROGRAM)("/bin/sleep"), b"#!/bin/sh\n", 0o755)
    place(tmp_path, UNITS / "page-somebody.service", b"[Service]\nExecStart=/bin/sleep 1\n")
    for target in ("network-online", "sysinit", "basic", "shutdown", "timers", "time-set", "time-sync", "slices"):
        place(tmp_path, UNITS / f"{target}.target", b"[Unit]\nDescription=there\n")
    names = [unit.path.name for unit in units]
    assert run("systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", *names) == ""
