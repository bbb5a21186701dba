"""`etcd-backup`, the program of etcd hosts, run here with an etcd, an age and an rclone of a few lines of shell."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from kbootstrap.components.backup import BUSY, Program
from kbootstrap.render.renderer import render
from kbootstrap.resources import folder

ETCDCTL = """#!/bin/bash
# Members are folders; their hashes and faults are files in them.
member=$WORLD/${ETCDCTL_ENDPOINTS:-cp1}
if [[ -e $member/down ]]; then echo '{"level":"warn"}' >&2; echo 'Error: context deadline exceeded' >&2; exit 1; fi
case "$*" in
  *"endpoint status"*)
    echo '[{"Status":{"header":{"cluster_id":14841639068965178418,"member_id":10276657743932975437,"revision":42},'\
'"version":"3.6.16","dbSize":4096,"leader":'$(cat "$member/leader")',"raftIndex":1}}]' ;;
  *"endpoint hashkv"*) echo "[{\\"HashKV\\":{\\"hash\\":$(cat "$member/hash"),\\"compact_revision\\":7}}]" ;;
  *"snapshot save"*)
    [[ ! -e $WORLD/full ]] || { echo 'Error: no space left on device' >&2; exit 1; }
    [[ ! -e $WORLD/slow ]] || sleep 30
    echo "a database" >"${!#}" ;;
esac
"""
ETCDUTL = """#!/bin/bash
[[ ! -e $WORLD/corrupt ]] || { echo 'Error: snapshot file integrity check failed' >&2; exit 1; }
echo '{"hash":2772609298,"revision":42,"totalKey":7,"totalSize":4096}'
"""
AGE = """#!/bin/bash
while (($# > 1)); do [[ $1 != --output ]] || out=$2; shift; done
(echo age-encryption.org/v1; cat) >"$out"
"""
RCLONE = """#!/bin/bash
# A remote is a folder of its name; `fault-NAME` says what goes wrong there.
while [[ $1 == --* ]]; do
  case $1 in
    --config | --*timeout | --*retries) shift ;;
    --bwlimit) shift && echo "$1" >>"$WORLD/limits" ;;
  esac
  shift
done
command=$1; shift
args=()
while (($#)); do
  case $1 in
    --include | --format | --separator | --files-from) declare "${1//-/_}=$2"; shift ;;
    --*) ;;
    *) args+=("$1") ;;
  esac
  shift
done
for i in "${!args[@]}"; do
  if [[ ${args[i]} == *:* ]]; then
    name=${args[i]%%:*}
    if [[ -e $WORLD/fault-$name ]]; then
      printf '2026/11/21 07:00:00 ERROR : x: %s\\n\\tstatus code: 4xx\\n' "$(cat "$WORLD/fault-$name")" >&2
      exit 1
    fi
    args[i]=$WORLD/remote-$name/${args[i]#*:}
  fi
done
set -- "${args[@]}"
shopt -s nullglob dotglob
case $command in
  copyto) mkdir -p "${2%/*}" && cp "$1" "$2" && { [[ ! -e $WORLD/flips ]] || echo x >>"$2"; } ;;
  moveto) mv "$1" "$2" ;;
  cat) cat "$1" ;;
  sync)
    [[ -d $1 ]] || exit 3
    for file in "$2"/${__include#/}; do [[ -e $1/${file##*/} ]] || rm "$file"; done
    for file in "$1"/${__include#/}; do cp "$file" "$2"; done ;;
  lsf)
    [[ -d $1 ]] || exit 3
    for file in "$1"/${__include#/}; do echo "$(stat -c %s "$file") ${file##*/}"; done ;;
  delete)
    if [[ -n ${__files_from:-} ]]; then
      while read -r file; do rm -f "$1/$file"; done <"$__files_from"
    else
      for file in "$1"/${__include#/}; do rm -f "$file"; done
    fi ;;
esac
"""


@dataclass(frozen=True, slots=True)
class World:
    """An etcd host and what is around it."""

    root: Path
    program: Program
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.root / "backups"

    def remote(self, name: str) -> Path:
        return self.root / f"remote-{name}/bucket/demo"

    def write(self) -> "World":
        """The program as a host has it."""
        path = self.root / "etcd-backup"
        path.write_bytes(render("backup/etcd-backup.sh.j2", self.program))
        path.chmod(0o755)
        return self

    def start(self, *arguments: str, said: str = "", **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [self.root / "etcd-backup", *arguments],
            env={**os.environ, **self.environment, **more, "WORLD": str(self.root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(said)
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, *arguments: str, said: str = "", **more: str) -> tuple[int, str, str]:
        process = self.start(*arguments, said=said, **more)
        out, errors = process.communicate(timeout=60)
        return process.returncode, out, errors

    def made(self) -> str:
        code, out, errors = self.run("run")
        assert code == 0, errors
        return out.splitlines()[-1]

    def backups(self, where: Path | None = None) -> list[str]:
        """Those that are complete at a place."""
        place = where or self.folder
        found = [path.name.removesuffix(".tar.age") for path in place.glob("*.tar.age")]
        assert sorted(found) == sorted(path.stem for path in place.glob("*Z-*.json") if path.stem.count(".") == 0)
        assert not list(place.glob(".new*"))
        return sorted(found)

    def last(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "last.json").read_text())
        return found

    def fault(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.write_text(text)
        return path


@pytest.fixture
def world(tmp_path: Path) -> World:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, text in {"etcdctl": ETCDCTL, "etcdutl": ETCDUTL, "age": AGE, "rclone": RCLONE}.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    (bin_ / "logger").symlink_to("/bin/true")
    for member in ("cp1", "cp2", "cp3"):
        (tmp_path / member).mkdir()
        (tmp_path / member / "hash").write_text("3628877040")
        (tmp_path / member / "leader").write_text("10276657743932975437")
    for name in ("inventory.yml", "recipients", "rclone.conf"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "retention.awk").write_bytes((folder("templates") / "backup/retention.awk.j2").read_bytes())
    at = PurePosixPath(tmp_path)
    program = Program(
        cluster="demo",
        host="cp1",
        kubernetes="1.36.4",
        keep=("last=2", "hourly=0", "daily=0", "weekly=0", "monthly=0"),
        keys=(str(at / "inventory.yml")[1:], "not/there"),
        metrics=str(at / "metrics"),
        upload="all",
        bandwidth="40M",
        members={name: name for name in ("cp1", "cp2", "cp3")},
        targets={"offsite": "offsite:bucket/demo", "vault": "vault:bucket/demo"},
        folder=at / "backups",
        seen=at / "backups/.targets",
        lock=at / "backups/.lock",
        reserve=at / "backups/.reserve",
        running=at / "backups/.running",
        last=at / "backups/last.json",
        etcdctl=at / "bin/etcdctl",
        etcdutl=at / "bin/etcdutl",
        recipients=at / "recipients",
        inventory=at / "inventory.yml",
        rclone=at / "rclone.conf",
        retention=at / "retention.awk",
        spare=1,
    )
    return World(tmp_path, program, {"PATH": f"{bin_}:{os.environ['PATH']}"}).write()


def test_a_backup_says_what_it_is(world: World) -> None:
    backup = world.made()
    assert world.backups() == world.backups(world.remote("offsite")) == world.backups(world.remote("vault")) == [backup]
    said = json.loads((world.folder / f"{backup}.json").read_text())
    assert said["cluster_id"] == f"{14841639068965178418:x}", "more than 53 bits"
    assert (said["revision"], said["keys"], said["etcd"]) == (42, 7, "3.6.16")
    assert said["hashkv"]["members"] == dict.fromkeys(("cp1", "cp2", "cp3"), 3628877040)
    assert said["file"]["bytes"] == (world.folder / f"{backup}.tar.age").stat().st_size
    assert set(said["files"]) == {"etcd.db", "keys.tar", "inventory.yml"}
    assert (world.folder / f"{backup}.json").read_text().count("\n") == 1
    assert world.last()["ok"] and world.last()["targets"]["vault"] == {"ok": True, "error": None}
    metrics = (world.root / "metrics/etcd-backup.prom").read_text()
    assert "kbootstrap_backup_last_run_ok 1\n" in metrics
    assert 'kbootstrap_backup_copy_ok{target="offsite"} 1\n' in metrics


def test_only_as_many_stay_as_wanted_at_every_place(world: World) -> None:
    made = [world.made() for _ in range(4)]
    for place in (None, world.remote("offsite"), world.remote("vault")):
        assert world.backups(place) == made[2:]


def test_the_last_rehearsed_one_stays(world: World) -> None:
    rehearsed = world.made()
    assert world.run("note", rehearsed, "rehearsed", said='{"ok": true}')[0] == 0
    made = [world.made() for _ in range(3)]
    for place in (None, world.remote("offsite")):
        assert world.backups(place) == [rehearsed, *made[1:]]


@pytest.mark.parametrize(
    "fault",
    ["dial tcp: connection refused", "NoSuchBucket: The specified bucket does not exist", "Forbidden: Forbidden"],
)
def test_a_target_that_fails_is_named_and_keeps_what_it_had(world: World, fault: str) -> None:
    before = world.made()
    broken = world.fault("fault-offsite", fault)
    code, _, errors = world.run("run")
    assert code == 1
    assert "offsite: cannot be written" in errors
    assert fault in errors
    assert ("the credentials are refused" in errors) == ("Forbidden" in fault)
    assert not world.last()["ok"]
    assert world.last()["targets"]["vault"]["ok"], "the other target has its copy"
    broken.unlink()
    assert world.backups(world.remote("offsite")) == [before]
    assert len(world.backups()) == len(world.backups(world.remote("vault"))) == 2


def test_what_is_read_back_must_be_what_was_sent(world: World) -> None:
    world.fault("flips")
    code, _, errors = world.run("run")
    assert code == 1
    assert "is not what was sent" in errors
    assert not list(world.remote("offsite").glob("demo-*"))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("cp1/down", "the etcd member of cp1 does not answer: Error: context deadline exceeded"),
        ("full", "the snapshot could not be taken: Error: no space left on device"),
        ("corrupt", "the snapshot is not good: Error: snapshot file integrity check failed"),
    ],
)
def test_a_run_that_fails_leaves_all_as_it_was(world: World, fault: str, said: str) -> None:
    before = world.made()
    world.fault(fault)
    code, _, errors = world.run("run")
    assert code == 1
    assert said in errors
    assert world.last()["error"] == said
    assert "kbootstrap_backup_last_run_ok 0\n" in (world.root / "metrics/etcd-backup.prom").read_text()
    assert world.backups() == world.backups(world.remote("offsite")) == [before]


def test_no_room_is_said_before_anything_is_written(world: World) -> None:
    replace(world, program=replace(world.program, spare=1 << 60)).write()
    code, _, errors = world.run("run")
    assert code == 1
    assert "MiB free, and a backup needs" in errors
    assert world.backups() == []


def test_another_member_that_is_down_is_told_and_does_not_matter(world: World) -> None:
    world.fault("cp3/down")
    code, out, errors = world.run("run")
    assert code == 0
    assert "the etcd member of cp3 does not answer: Error: context deadline exceeded" in errors
    said = json.loads((world.folder / f"{out.splitlines()[-1]}.json").read_text())
    assert set(said["hashkv"]["members"]) == {"cp1", "cp2"}


def test_a_member_that_differs_from_the_others_is_not_backed_up(world: World) -> None:
    before = world.made()
    world.fault("cp1/hash", "1")
    code, _, errors = world.run("run")
    assert code == 1
    assert "the etcd member of cp1 does not have what the others have" in errors
    assert world.backups() == [before]


def test_another_member_that_differs_is_told(world: World) -> None:
    world.fault("cp2/hash", "1")
    code, _, errors = world.run("run")
    assert code == 0
    assert "the keys of cp2 at revision 42 have the hash 1" in errors


def test_two_at_once(world: World) -> None:
    slow = world.fault("slow")
    first = world.start("run")
    _until((world.folder / ".running").exists)
    code, _, errors = world.run("run")
    assert code == BUSY
    assert "another etcd-backup is at work on cp1" in errors
    assert not (world.folder / "last.json").exists(), "it is for the first to say how it went"
    slow.unlink()
    _end(first, signal.SIGTERM)
    assert world.last()["error"] == "it was stopped"
    assert world.backups() == []
    world.made()


def test_a_killed_run_is_noted_and_cleaned_up_after(world: World) -> None:
    slow = world.fault("slow")
    run = world.start("run")
    _until(lambda: list(world.folder.glob(".running")))
    _end(run, signal.SIGKILL)
    slow.unlink()
    code, _, errors = world.run("failed", MONITOR_SERVICE_RESULT="timeout")
    assert code == 0
    assert "it was killed (timeout)" in errors
    assert world.last()["error"] == "it was killed (timeout)"
    assert world.backups() == []


def _until(reached: Any) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _end(process: subprocess.Popen[str], how: signal.Signals) -> None:
    os.killpg(process.pid, how)
    process.communicate(timeout=30)


def test_what_died_runs_have_left_goes(world: World) -> None:
    before = world.made()
    left = before.replace("demo-2", "demo-1")
    (world.folder / f"{left}.tar.age").write_text("half")
    (world.remote("offsite") / f".new.{left}.tar.age").write_text("half")
    (world.remote("offsite") / f"{left}.tar.age").write_text("without its json, and old")
    (world.remote("offsite") / f".new.{left.replace('-cp1', '-cp2')}.tar.age").write_text("another host's")
    backup = world.made()
    assert world.backups() == [before, backup]
    assert {path.name for path in world.remote("offsite").iterdir() if left[:7] in path.name} == {
        f".new.{left.replace('-cp1', '-cp2')}.tar.age"
    }


def test_a_clock_that_was_set_back(world: World) -> None:
    backup = world.made()
    future = backup.replace("demo-2", "demo-3")
    for suffix in (".json", ".tar.age"):
        content = (world.folder / f"{backup}{suffix}").read_bytes()
        (world.folder / f"{future}{suffix}").write_bytes(content.replace(backup.encode(), future.encode()))
    code, _, errors = world.run("run")
    assert code == 1
    assert f"the clock was set back: {future} is younger" in errors
    assert len(world.backups()) == 3


def test_only_the_leader_uploads_when_one_is_wanted(world: World) -> None:
    replace(world, program=replace(world.program, upload="one")).write()
    (world.root / "cp1/leader").write_text("1")
    world.made()
    assert not world.remote("offsite").exists()
    (world.root / "cp1/leader").write_text("10276657743932975437")
    backup = world.made()
    assert world.backups(world.remote("offsite")) == [backup]


def test_a_damaged_copy_is_found_noted_and_not_counted(world: World) -> None:
    backup = world.made()
    copy = world.remote("offsite") / f"{backup}.tar.age"
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    code, out, _ = world.run("verify", "all")
    assert code == 1
    assert f"ok local {backup}" in out
    assert f"damaged offsite {backup} the digest of its file is" in out
    assert json.loads((world.remote("offsite") / f"{backup}.verified.json").read_text())["ok"] is False
    assert world.run("fetch", backup, "offsite")[0] == 1
    newer = [world.made(), world.made()]
    assert world.backups(world.remote("offsite")) == newer, "it went as soon as two newer good ones were there"


def test_fetch_brings_back_what_the_host_has_lost(world: World) -> None:
    backup = world.made()
    for path in world.folder.glob("demo-*"):
        path.unlink()
    limits = world.root / "limits"
    assert set(limits.read_text().split()) == {"40M"}
    limits.write_text("")
    assert world.run("fetch", backup, "vault")[0] == 0
    assert set(limits.read_text().split()) == {"off"}, "a restore is in a hurry"
    assert world.backups() == [backup]
    assert world.run("verify", "local", backup)[1] == f"ok local {backup}\n"


def test_prune_can_say_what_it_would_do(world: World) -> None:
    made = [world.made(), world.made()]
    replace(world, program=replace(world.program, keep=("last=1",))).write()
    code, out, _ = world.run("prune", "all", "plan")
    assert code == 0
    assert sorted(out.splitlines()) == [f"{place} {made[0]}" for place in ("local", "offsite", "vault")]
    assert world.backups() == made
    assert world.run("prune", "all")[0] == 0
    assert world.backups() == world.backups(world.remote("vault")) == made[1:]


@pytest.mark.parametrize(
    "arguments", [(), ("run", "x"), ("verify", "nowhere"), ("fetch", "../x", "vault"), ("note", "x", "rehearsed")]
)
def test_what_makes_no_sense_is_refused(world: World, arguments: tuple[str, ...]) -> None:
    assert world.run(*arguments)[0] in (1, 64)
    assert not world.folder.exists()
