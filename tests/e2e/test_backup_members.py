"""Backups of a cluster with three etcd members: who makes them, when, and whether the members have the same."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]
import pytest

from kbootstrap.lab.spec import standard
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory, wait_until
from tests.e2e.object_store import ObjectStore, bucket_target
from tests.e2e.test_backup import CHECK_FAILED, ETCDCTL, FOLDER, KEEP, LOCKED, PROGRAM, STAMP

pytestmark = pytest.mark.long

SUBNET = IPv4Network("198.18.75.0/24")
STAGGER = 30
"""Seconds from one host's backup to the next one's (components/backup.py)."""


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key.txt"
    path.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path_factory.mktemp("s3"), str(SUBNET[1]))
    yield store
    store.stop()


@pytest.fixture(scope="module")
def section(identity: Path) -> dict[str, Any]:
    """What the inventory says of backups; tests may change it."""
    key = pyrage.x25519.Identity.from_str(identity.read_text().strip())
    return {"recipients": [str(key.to_public())], "keep": {**KEEP, "last": 4}}


@pytest.fixture(scope="module")
def bed(beds: BedFactory, store: ObjectStore, section: dict[str, Any]) -> Bed:
    bed = beds(standard(name=f"{PREFIX}bak", subnet=SUBNET, control_planes=3, workers=0))
    section["targets"] = {"offsite": bucket_target(store, "backups", bed.folder)}
    bed.write({"backup": section})
    store.start()
    bed.run("up").expect(0, "is ready")
    return bed


def made(bed: Bed, *hosts: str) -> dict[str, str]:
    """Backups that were made now, by host; without hosts where the leader is."""
    limit = [word for host in hosts for word in ("--limit", host)]
    found: dict[str, str] = json.loads(bed.run("backup", "run", "--json", *limit).expect().out)
    return found


def manifest(bed: Bed, host: str, backup: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bed.ssh(host, f"cat {FOLDER}/{backup}.json"))
    return found


def hashed(bed: Bed, host: str, backup: str) -> dict[str, int]:
    """The members' hashes that a backup notes."""
    found: dict[str, int] = manifest(bed, host, backup)["hashkv"]["members"]
    return found


def copies(bed: Bed) -> dict[str, list[str]]:
    """Where the good copies of each backup are."""
    listed = json.loads(bed.run("backup", "list", "--json").expect().out)
    return {kept["id"]: sorted(kept["good"]) for kept in listed["backups"]}


def the_leader(bed: Bed) -> str:
    (host,) = made(bed)
    return host


@contextmanager
def wrapped(bed: Bed, host: str, script: str) -> Iterator[None]:
    """etcdctl on a host as `script` wants it; `$real` is the real one."""
    text = f'#!/bin/bash\nreal={ETCDCTL}.real\n{script}\nexec $real "$@"\n'
    bed.ssh(host, f"mv {ETCDCTL} {ETCDCTL}.real; cat >{ETCDCTL}; chmod 755 {ETCDCTL}", said=text)
    try:
        yield
    finally:
        bed.ssh(host, f"mv {ETCDCTL}.real {ETCDCTL}")


def lies(endpoint: str) -> str:
    """Shell that changes the hash which the member at an endpoint gives."""
    return (
        f'if [[ "$*" == *hashkv* && $ETCDCTL_ENDPOINTS == *{endpoint}* ]]; then'
        """ $real "$@" | sed -E 's/"hash":[0-9]+/"hash":1/'; exit; fi"""
    )


def test_the_members_are_compared(bed: Bed) -> None:
    ((host, backup),) = made(bed).items()
    members = hashed(bed, host, backup)
    assert set(members) == set(bed.control_planes)
    assert len(set(members.values())) == 1


def test_another_member_that_has_something_else_is_told(bed: Bed) -> None:
    host, other = bed.control_planes[:2]
    with wrapped(bed, host, lies(str(bed.spec.hosts[other].address))):
        said = bed.ssh(host, f"{PROGRAM} run 2>&1")
    assert "the etcd members do not all have the same" in said
    assert f"the keys of {other} at revision" in said


def test_a_member_that_differs_from_most_makes_no_backup(bed: Bed) -> None:
    host = bed.control_planes[0]
    before = copies(bed)
    with wrapped(bed, host, lies(str(bed.spec.hosts[host].address))):
        bed.run("backup", "run", "--limit", host).expect(1, "does not have what the others have: it may be corrupt")
    assert copies(bed) == before
    assert bed.ssh(host, f"find {FOLDER} -name '.new*'") == ""


def test_members_that_are_down_are_left_out(bed: Bed) -> None:
    """Also when there is no quorum: what this host has is worth the more then."""
    host, *others = bed.control_planes
    for number, other in enumerate(others, 1):
        bed.ssh(other, "systemctl stop etcd")
        try:
            (backup,) = made(bed, host).values()
            assert set(hashed(bed, host, backup)) == {host, *others[number:]}
            assert "offsite" in copies(bed)[backup]
        finally:
            if other == others[-1]:
                bed.on_all("systemctl start etcd", others)
    bed.on_all("etcdctl endpoint health", bed.control_planes)


def test_two_hosts_at_once(bed: Bed) -> None:
    hosts = bed.control_planes[:2]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda host: made(bed, host), hosts))
    there = copies(bed)
    for outcome in outcomes:
        ((host, backup),) = outcome.items()
        assert there[backup] == sorted([host, "offsite"])


def test_two_runs_on_one_host(bed: Bed) -> None:
    host = bed.control_planes[0]
    with wrapped(bed, host, 'case "$*" in *"snapshot save"*) sleep 8;; esac'):
        with bed.start("backup", "run", "--limit", host) as first:
            wait_until(lambda: bed.ssh(host, f"ls {FOLDER}/.running || true") != "", seconds=30, what="a run")
            bed.run("backup", "run", "--limit", host).expect(LOCKED, f"another etcd-backup is at work on {host}")
            out, err = first.communicate(timeout=60)
        assert first.returncode == 0, out + err


def test_a_store_that_goes_away_stops_nobody(bed: Bed, store: ObjectStore) -> None:
    before = copies(bed)
    store.stop()
    try:
        outcome = bed.run("backup", "run", *(word for host in bed.control_planes for word in ("--limit", host)))
        outcome.expect(1, "offsite: cannot be written")
        for host in bed.control_planes:
            last = json.loads(bed.ssh(host, f"cat {FOLDER}/last.json"))
            assert not last["ok"]
            assert bed.ssh(host, f"ls {FOLDER}/{last['id']}.json {FOLDER}/{last['id']}.tar.age")
    finally:
        store.start()
    good = copies(bed)
    assert any("offsite" in good.get(backup, ()) for backup in before)
    made(bed)


def test_only_the_leaders_host_uploads(bed: Bed, section: dict[str, Any]) -> None:
    section["upload"] = "one"
    bed.write({"backup": section})
    bed.run("up").expect()
    leader = the_leader(bed)
    backups = made(bed, *bed.control_planes)
    there = copies(bed)
    assert {host: "offsite" in there[backup] for host, backup in backups.items()} == {
        host: host == leader for host in bed.control_planes
    }


def test_hosts_take_turns(bed: Bed) -> None:
    """A time of the calendar soon, once: the second host follows the first, and the third the second."""
    before = set(copies(bed))
    soon = datetime.now(UTC) + timedelta(seconds=25)
    bed.run("backup", "schedule", f"{soon:%Y-%m-%d %H:%M:%S} UTC").expect()
    hosts = bed.control_planes
    wait_until(lambda: len(set(copies(bed)) - before) >= len(hosts), seconds=200, what="a backup of each host")
    times = {backup.rpartition("-")[2]: _time(backup) for backup in set(copies(bed)) - before}
    late = [(times[host] - soon).total_seconds() for host in hosts]
    bed.note(f"timers fired at {late} s")
    for number, seconds in enumerate(late):
        assert number * STAGGER - 1 <= seconds <= number * STAGGER + 20, late


def _time(backup: str) -> datetime:
    return datetime.strptime(backup.split("-")[-2], STAMP).replace(tzinfo=UTC)


def test_status_tells_when_one_is_overdue(bed: Bed) -> None:
    bed.run("backup", "schedule", "*:*:0/10").expect()
    wait_until(lambda: "last good" in bed.run("status").text, seconds=60, what="a backup")
    bed.run("status").expect(0, "last good")
    bed.on_all("systemctl stop etcd-backup.timer", bed.control_planes)
    wait_until(
        lambda: (
            not any(
                bed.on_all("systemctl is-active etcd-backup.service || true", bed.control_planes)[host] == "activating"
                for host in bed.control_planes
            )
        ),
        seconds=100,
        what="the end of runs",
    )
    time.sleep(16)
    bed.run("status").expect(CHECK_FAILED, "overdue: the last good one is", "one is due every 0:00:10")
    bed.run("backup", "schedule", "--off").expect()
    bed.run("status").expect(0, "last good")
