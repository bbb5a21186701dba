"""Backups on one control-plane host, copied to a real S3 server, to another host by SFTP, and to a disk."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]
import pytest

from kbootstrap.lab.spec import standard
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory, wait_until
from tests.e2e.object_store import SECRET_KEY, ObjectStore, bucket_target

pytestmark = pytest.mark.long

SUBNET = IPv4Network("198.18.75.0/24")
FOLDER = "/var/lib/kbootstrap/backups"
PROGRAM = "/opt/kbootstrap/libexec/etcd-backup"
RCLONE = "/etc/kbootstrap/backup/rclone.conf"
ETCDCTL = "/usr/local/bin/etcdctl"
LOCKED = 6
CHECK_FAILED = 7
KEEP = {"last": 2, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0}
STAMP = "%Y%m%dT%H%M%SZ"
PLACES = ["cp1", "disk", "offsite", "vault"]


@pytest.fixture(scope="module")
def key() -> Any:
    return pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path_factory.mktemp("s3"), str(SUBNET[1]))
    yield store
    store.stop()


@pytest.fixture(scope="module")
def bed(beds: BedFactory, store: ObjectStore, key: Any) -> Bed:
    bed = beds(standard(name=f"{PREFIX}bak", subnet=SUBNET, control_planes=1, workers=0, bare=1))
    store.start()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", bed.folder / "vault-key"], check=True)
    bed.ssh("bare1", "cat >>~/.ssh/authorized_keys", said=(bed.folder / "vault-key.pub").read_text())
    bed.ssh("bare1", "mkdir -p /srv/backups")
    bed.ssh("cp1", "mkdir -p /mnt/backup")
    bed.write({"backup": backup_section(bed, store, key)})
    bed.run("up").expect(0, "is ready")
    return bed


def backup_section(bed: Bed, store: ObjectStore, key: Any) -> dict[str, Any]:
    vault = bed.spec.hosts["bare1"].address
    return {
        "recipients": [str(key.to_public())],
        "keep": KEEP,
        "targets": {
            "offsite": bucket_target(store, "backups", bed.folder),
            "vault": {
                "type": "sftp",
                "path": "/srv/backups",
                "options": {"host": str(vault), "user": "root"},
                "secrets": {"key_pem": {"file": "vault-key"}},
            },
            "disk": {"type": "local", "path": "/mnt/backup"},
        },
    }


def listed(bed: Bed) -> dict[str, Any]:
    """What `backup list` says."""
    found: dict[str, Any] = json.loads(bed.run("backup", "list", "--json").expect().out)
    return found


def places(bed: Bed) -> dict[str, list[str]]:
    """Where the good copies of each backup are."""
    return {kept["id"]: sorted(kept["good"]) for kept in listed(bed)["backups"]}


def made(bed: Bed) -> str:
    """The ID of a backup that was made now."""
    found: str = json.loads(bed.run("backup", "run", "--json").expect().out)["cp1"]
    return found


def require_nothing_half_made(bed: Bed, store: ObjectStore) -> None:
    """No temporary file is left, and every backup with its ID.json is whole everywhere."""
    assert bed.ssh("cp1", f"find {FOLDER} /mnt/backup -name '.new*'") == ""
    assert bed.ssh("bare1", "find /srv -name '.new*'") == ""
    assert not list(store.folder.rglob(".new*"))
    bed.run("backup", "verify", "--all").expect()


def test_a_backup_is_everywhere_and_opens_with_the_key(bed: Bed, store: ObjectStore, key: Any, tmp_path: Path) -> None:
    backup = made(bed)
    assert places(bed)[backup] == PLACES
    encrypted = store.folder / "backups/prod" / bed.spec.name / f"{backup}.tar.age"
    (tmp_path / "backup.tar").write_bytes(pyrage.decrypt(encrypted.read_bytes(), [key]))
    names = subprocess.run(["tar", "-tf", tmp_path / "backup.tar"], capture_output=True, text=True, check=True).stdout
    assert names.split() == ["manifest.json", "etcd.db", "keys.tar", "inventory.yml"]
    bed.run("backup", "verify").expect(0, "offsite", "vault", "disk")
    require_nothing_half_made(bed, store)


def test_nothing_secret_shows(bed: Bed) -> None:
    assert bed.ssh("cp1", f"stat -c '%a %U' {RCLONE}") == "600 root"
    bed.ssh("cp1", f"sed -i s/{SECRET_KEY}/other/ {RCLONE}")
    plan = bed.run("plan").expect(2, RCLONE, "secret, not shown")
    assert SECRET_KEY not in plan.text
    bed.run("up").expect()
    assert bed.plan() == {}
    assert bed.ssh("cp1", f"journalctl --no-pager | grep -c {SECRET_KEY} || true") == "0"


def test_only_as_many_as_wanted_stay_and_the_rehearsed_one(bed: Bed) -> None:
    rehearsed = made(bed)
    record = json.dumps({"id": rehearsed, "at": "2026-01-01T00:00:00Z", "by": "a test", "ok": True})
    bed.ssh("cp1", f"{PROGRAM} note {rehearsed} rehearsed", said=record)
    newer = [made(bed) for _ in range(3)]
    assert places(bed) == dict.fromkeys([rehearsed, *newer[1:]], PLACES)


def test_generations(bed: Bed) -> None:
    """Copies of a good one with other times: what is kept of 60 days, one a day."""
    backup = made(bed)
    now = datetime.now(UTC)
    days = [now - timedelta(days=number) for number in range(1, 61)]
    bed.ssh(
        "cp1", "set -e\n" + "\n".join(_as_if_made(backup, f"{bed.spec.name}-{day:{STAMP}}-cp1", day) for day in days)
    )
    keep = {"last": 2, "daily": 7, "weekly": 4, "monthly": 2}
    bed.ssh("cp1", f"sed -i -E 's/^readonly KEEP=.*/readonly KEEP=({_words(keep)})/' {PROGRAM}")
    bed.run("backup", "prune", "--plan").expect(0, "would be deleted")
    assert len(places(bed)) >= 60
    bed.run("backup", "prune").expect()
    left = sorted((now - _time(name)).days for name in places(bed) if name.endswith("cp1") and _time(name) < now)
    assert set(range(1, 6)) <= set(left), left
    assert 7 <= len(left) <= 7 + 4 + 2 + 3, left
    assert max(left) >= 15, left
    bed.ssh("cp1", f"cd {FOLDER} && for old in $(grep -l '\"revision\":1,' *.json); do rm -f ${{old%.json}}.*; done")
    bed.run("up").expect()


def _as_if_made(backup: str, other: str, when: datetime) -> str:
    """Shell that copies a backup on its host under another name and time, and says that less is in it."""
    change = f'.id = "{other}" | .made = "{when:%Y-%m-%dT%H:%M:%SZ}" | .revision = 1'
    return f"cd {FOLDER}; cp {backup}.tar.age {other}.tar.age; jq -c '{change}' {backup}.json >{other}.json"


def _words(keep: dict[str, int]) -> str:
    return " ".join(f"{name}={count}" for name, count in {**KEEP, **keep}.items())


def _time(backup: str) -> datetime:
    return datetime.strptime(backup.split("-")[-2], STAMP).replace(tzinfo=UTC)


def test_the_store_is_down(bed: Bed, store: ObjectStore) -> None:
    before = made(bed)
    store.stop()
    try:
        bed.run("backup", "run").expect(1, "offsite: cannot be written", "connection refused")
        bed.run("status").expect(CHECK_FAILED, "its last backup", "offsite: cannot be written")
    finally:
        store.start()
    assert places(bed)[before] == PLACES
    require_nothing_half_made(bed, store)
    made(bed)
    bed.run("status").expect(0, "last good")


def test_wrong_credentials(bed: Bed, store: ObjectStore) -> None:
    before = made(bed)
    bed.ssh("cp1", f"sed -i s/{SECRET_KEY}/wrong/ {RCLONE}")
    outcome = bed.run("backup", "run").expect(1, "offsite: cannot be written", "credentials are refused")
    assert SECRET_KEY not in outcome.text
    bed.run("up").expect()
    assert places(bed)[before] == PLACES
    require_nothing_half_made(bed, store)


def test_the_bucket_is_gone(bed: Bed, store: ObjectStore) -> None:
    before = made(bed)
    bucket = store.folder / "backups"
    bucket.rename(store.folder / "elsewhere")
    try:
        bed.run("backup", "run").expect(1, "offsite: cannot be written", "bucket does not exist")
        assert not bucket.exists()
    finally:
        (store.folder / "elsewhere").rename(bucket)
    assert places(bed)[before] == PLACES
    require_nothing_half_made(bed, store)


def test_no_room(bed: Bed, store: ObjectStore) -> None:
    before = made(bed)
    small_disk(bed, "64m")
    bed.run("backup", "run").expect(1, "MiB free, and a backup needs", "nothing was written")
    assert bed.ssh("cp1", f"ls {FOLDER}") == "last.json"
    other_disk(bed)
    assert places(bed)[before] == PLACES


def test_the_disk_fills_while_the_snapshot_is_taken(bed: Bed, store: ObjectStore) -> None:
    before = made(bed)
    small_disk(bed, "140m")
    # Where there was room when the run looked, somebody else takes it.
    bed.ssh(
        "cp1",
        f"mv {ETCDCTL} {ETCDCTL}.real; cat >{ETCDCTL}; chmod 755 {ETCDCTL}",
        said=f'#!/bin/sh\ncase "$*" in *"snapshot save"*) dd if=/dev/zero of={FOLDER}/others bs=1M 2>/dev/null;; esac\n'
        f'exec {ETCDCTL}.real "$@"\n',
    )
    try:
        bed.run("backup", "run").expect(1, "the snapshot could not be taken", "no space left on device")
        assert "no space left" in bed.ssh("cp1", f"jq -r .error {FOLDER}/last.json")
        assert bed.ssh("cp1", f"ls {FOLDER}") == "last.json\nothers"
    finally:
        bed.ssh("cp1", f"mv {ETCDCTL}.real {ETCDCTL}")
        other_disk(bed)
    assert places(bed)[before] == PLACES
    require_nothing_half_made(bed, store)


def small_disk(bed: Bed, size: str) -> None:
    bed.ssh("cp1", f"mount -t tmpfs -o size={size},mode=0700 tmpfs {FOLDER}")


def other_disk(bed: Bed) -> None:
    bed.ssh("cp1", f"umount {FOLDER}")


def test_the_member_is_down(bed: Bed, store: ObjectStore) -> None:
    before = made(bed)
    bed.ssh("cp1", "systemctl stop etcd")
    try:
        bed.run("backup", "run").expect(1, "the etcd member of cp1 does not answer")
    finally:
        bed.ssh("cp1", "systemctl start etcd")
    assert places(bed)[before] == PLACES
    require_nothing_half_made(bed, store)


def test_two_at_once(bed: Bed) -> None:
    before, last = set(places(bed)), bed.ssh("cp1", f"cat {FOLDER}/last.json")
    bed.ssh("cp1", f"systemd-run --quiet --unit=holds-the-lock flock {FOLDER}/.lock sleep 60")
    try:
        bed.run("backup", "run").expect(LOCKED, "another etcd-backup is at work on cp1")
        assert bed.ssh("cp1", f"cat {FOLDER}/last.json") == last
    finally:
        bed.ssh("cp1", "systemctl stop holds-the-lock")
    assert set(places(bed)) == before


def test_the_clock_is_set_back(bed: Bed) -> None:
    """Told by a backup of the future: a lab's clock is the machine's."""
    backup = made(bed)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    future = f"{bed.spec.name}-{tomorrow:{STAMP}}-cp1"
    bed.ssh("cp1", _as_if_made(backup, future, tomorrow))
    before = places(bed)
    bed.run("backup", "run").expect(1, "the clock was set back", f"{future} is younger", "nothing was pruned")
    assert set(before) < set(places(bed))
    bed.ssh("cp1", f"rm {FOLDER}/{future}.*")
    made(bed)


def test_a_killed_run_leaves_nothing_and_is_seen(bed: Bed, store: ObjectStore) -> None:
    before = made(bed)
    bed.run("backup", "schedule", "*-*-* 03:00:00").expect(0, "03:00:00")
    bed.ssh("cp1", "systemctl start --no-block etcd-backup.service")
    wait_until(lambda: bed.ssh("cp1", f"ls {FOLDER}/.running || true") != "", seconds=60, what="a run")
    bed.ssh("cp1", "systemctl kill --signal=KILL etcd-backup.service")
    wait_until(lambda: bed.ssh("cp1", f"jq .ok {FOLDER}/last.json") == "false", seconds=60, what="a note of it")
    bed.run("status").expect(CHECK_FAILED, "it was killed")
    assert places(bed)[before] == PLACES
    made(bed)
    require_nothing_half_made(bed, store)


def test_a_damaged_copy_is_found(bed: Bed, store: ObjectStore) -> None:
    backup = made(bed)
    copy = store.folder / "backups/prod" / bed.spec.name / f"{backup}.tar.age"
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    assert places(bed)[backup] == PLACES, "its length says nothing"
    bed.run("backup", "verify").expect(CHECK_FAILED, "offsite", "the digest of its file is")
    assert places(bed)[backup] == [place for place in PLACES if place != "offsite"]
    bed.run("status").expect(CHECK_FAILED, "is damaged")
    newer = [made(bed), made(bed)]
    assert places(bed) == {**dict.fromkeys(newer, PLACES), **_rehearsed(bed)}


def _rehearsed(bed: Bed) -> dict[str, list[str]]:
    return {kept["id"]: sorted(kept["good"]) for kept in listed(bed)["backups"] if kept["rehearsed"]}


def test_the_timer_fires_and_can_be_taken_away(bed: Bed) -> None:
    before = set(places(bed))
    bed.run("backup", "schedule", "*:*:0/20").expect(0, "*:*:0/20")
    wait_until(lambda: len(set(places(bed)) - before) >= 1, seconds=120, what="a backup by the timer")
    assert bed.ssh("cp1", "systemctl show --value -p Result etcd-backup.service") == "success"
    bed.run("backup", "schedule", "--off").expect(0, "only when asked", "no timer")
    ended = "while systemctl is-active etcd-backup.service | grep -q activating; do sleep 0.5; done"
    bed.on_all(ended, bed.control_planes)  # what has begun goes on
    assert bed.ssh("cp1", "systemctl list-timers --all --no-legend etcd-backup.timer") == ""
    bed.run("backup", "schedule", "every full moon").expect(3, "no calendar event")
    assert bed.plan() == {}


def test_a_reset_keeps_local_backups_and_a_bare_host_is_restored_by_sftp(bed: Bed, key: Any, tmp_path: Path) -> None:
    bed.kubectl("create configmap before --from-literal=a=b")
    backup = made(bed)
    bed.run("reset", "--yes", "--keep-data").expect()
    kept = bed.ssh("cp1", "find /var/backups/kbootstrap -type f").splitlines()
    assert any(path.endswith(f"/backups/{backup}.tar.age") for path in kept), kept
    assert bed.ssh("cp1", "ls -d /etc/kubernetes/pki /var/lib/kbootstrap 2>/dev/null || true") == ""
    identity = tmp_path / "key.txt"
    identity.write_text(f"{key}\n")
    outcome = bed.run("restore", "--from", "vault", "--identity", str(identity), "--yes", timeout=900)
    outcome.expect(0, f"{backup} from vault", "is back after")
    bed.note(outcome.timing)
    assert bed.kubectl("get configmap before --output=jsonpath='{.data.a}'") == "b"
