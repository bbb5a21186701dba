"""The snapshot before an upgrade: its script really runs, with stand-ins for etcd's programs."""

import os
import signal
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbootstrap.components.snapshot import KEPT, _Snapshot, snapshot
from kbootstrap.render.renderer import render
from kbootstrap.steps.command import Command
from kbootstrap.steps.step import Step
from kbootstrap.transport.connection import Result
from tests.golden.sites import TOPOLOGIES, site
from tests.local_host import shell

PARTS = {".db", ".json", ".keys.tgz", ".sha256"}

ETCDCTL = '[ "$1 $2" = "snapshot save" ] || exit 9\necho "state of etcd" >"$3"\n'
ETCDUTL = '[ "$1 $2 $4" = "snapshot status --write-out=json" ] || exit 9\n[ -s "$3" ] || exit 8\necho \'{"hash":1}\'\n'
KILLER = """\
echo . >>"{count}"
if [ "$(wc -l <"{count}")" -eq {turn} ]; then ( :
{done}
) ; kill -9 $PPID; exit 1; fi
"""


@dataclass
class Host:
    """A folder in a host's place."""

    root: Path

    def __post_init__(self) -> None:
        for name in ("bin", "path", "etcd", "pki"):
            (self.root / name).mkdir()
        (self.root / "pki" / "ca.key").write_text("a key")
        self.program("bin/etcdctl", ETCDCTL)
        self.program("bin/etcdutl", ETCDUTL)

    def program(self, name: str, text: str) -> None:
        (self.root / name).write_text("#!/bin/sh\n" + text)
        (self.root / name).chmod(0o755)

    @property
    def folder(self) -> Path:
        return self.root / "snapshots"

    @property
    def script(self) -> str:
        where = {name: self.root / name for name in ("pki", "etcd", "bin", "encryption.yaml")}
        text = render("etcd/snapshot.sh.j2", _Snapshot("before-1.37.1")).decode()
        real = _Snapshot("")
        for path, here in (
            (real.folder, self.folder),
            (real.encryption, where["encryption.yaml"]),
            (real.keys, where["pki"]),
            (real.data, where["etcd"]),
            (real.commands, where["bin"]),
        ):
            assert str(path) in text
            text = text.replace(str(path), str(here))
        return text

    def run(self, monkeypatch: pytest.MonkeyPatch) -> Result:
        with monkeypatch.context() as patch:
            patch.setenv("PATH", f"{self.root / 'path'}:{os.environ['PATH']}")
            return shell(self.script, "-eu")

    @property
    def files(self) -> set[str]:
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}

    @property
    def complete(self) -> list[str]:
        """The snapshots that are whole, the oldest first."""
        found = sorted(path.name.removesuffix(".sha256") for path in self.folder.glob("*.sha256"))
        for name in found:
            subprocess.run(["sha256sum", "--check", "--quiet", f"{name}.sha256"], cwd=self.folder, check=True)
        return found

    def earlier(self, name: str, minutes: int) -> None:
        """A snapshot that was taken so long ago."""
        self.folder.mkdir(exist_ok=True)
        for part in PARTS - {".sha256"}:
            (self.folder / f"{name}{part}").write_text(name)
        sums = subprocess.run(
            ["sha256sum", *(f"{name}{part}" for part in sorted(PARTS - {".sha256"}))],
            cwd=self.folder,
            check=True,
            capture_output=True,
        )
        (self.folder / f"{name}.sha256").write_bytes(sums.stdout)
        at = (self.folder / f"{name}.sha256").stat().st_mtime - 60 * minutes
        os.utime(self.folder / f"{name}.sha256", (at, at))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_snapshot_is_whole_and_only_roots(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    result = host.run(monkeypatch)
    assert result.ok, result.errors
    [name] = host.complete
    assert name.startswith("before-1.37.1-")
    assert host.files == {f"{name}{part}" for part in PARTS}
    assert list(host.folder.glob(".*")) == []
    assert (host.folder / f"{name}.db").read_text() == "state of etcd\n"
    assert {path.stat().st_mode & 0o777 for path in host.folder.iterdir()} == {0o600}
    assert host.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_keys_go_with_it(encrypted: bool, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    if encrypted:
        (host.root / "encryption.yaml").write_text("secretbox")
    assert host.run(monkeypatch).ok
    with tarfile.open(host.folder / f"{host.complete[0]}.keys.tgz") as archive:
        names = {Path(name).name for name in archive.getnames()}
    assert names == {"pki", "ca.key"} | ({"encryption.yaml"} if encrypted else set())


def test_the_newest_are_kept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(KEPT + 2):
        host.earlier(f"before-1.36.{number}", 1000 - number)
    assert host.run(monkeypatch).ok
    kept = [f"before-1.36.{number}" for number in range(3, KEPT + 2)]
    assert host.complete[: KEPT - 1] == kept
    assert len(host.complete) == KEPT
    assert len(host.files) == KEPT * len(PARTS)


def test_what_somebody_else_keeps_there_stays(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(KEPT + 1):
        host.earlier(f"mine-{number}", 5000)
    (host.folder / "mine.db").write_text("without digests")
    assert host.run(monkeypatch).ok
    assert len(host.complete) == KEPT + 2
    assert (host.folder / "mine.db").exists()


def test_without_room_nothing_is_begun(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.earlier("before-1.36.4", 1000)
    host.program("path/df", "echo Filesystem; echo /dev/vda 9 8 102400 99% /\n")
    result = host.run(monkeypatch)
    assert not result.ok
    assert "has 102400 KiB left; a snapshot needs" in result.errors
    assert host.complete == ["before-1.36.4"]
    assert list(host.folder.glob(".*")) == []


@pytest.mark.parametrize("program", ["bin/etcdctl", "bin/etcdutl", "path/tar", "path/sha256sum"])
def test_what_fails_gets_no_name(program: str, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.earlier("before-1.36.4", 1000)
    host.program(program, "echo it failed >&2\nexit 1\n")
    result = host.run(monkeypatch)
    assert not result.ok
    assert "it failed" in result.errors
    assert host.complete == ["before-1.36.4"]
    assert len(host.files) == len(PARTS)


TAR, SUMS, MOVE = (f'exec /usr/bin/{name} "$@"\n' for name in ("tar", "sha256sum", "mv"))
MOVE_ONE = '/bin/mv "$1" ..\n'


@pytest.mark.parametrize(
    ("program", "text", "turn", "done", "named"),
    [
        ("bin/etcdctl", ETCDCTL, 1, "", False),
        ("bin/etcdctl", ETCDCTL, 1, ETCDCTL, False),
        ("bin/etcdutl", ETCDUTL, 1, "", False),
        ("bin/etcdutl", ETCDUTL, 1, ETCDUTL, False),
        ("path/tar", TAR, 1, "", False),
        ("path/sha256sum", SUMS, 1, "", False),
        ("path/sha256sum", SUMS, 2, "", False),
        ("path/mv", MOVE, 1, "", False),
        ("path/mv", MOVE, 1, MOVE_ONE, False),
        ("path/mv", MOVE, 2, "", False),
        ("path/mv", MOVE, 2, MOVE_ONE, True),
    ],
)
def test_a_kill_leaves_nothing_that_looks_whole_and_the_next_run_converges(
    program: str, text: str, turn: int, done: str, named: bool, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when this program is called, that often; it has `done` something by then."""
    host.earlier("before-1.36.4", 1000)
    host.program(program, KILLER.format(count=host.root / "count", turn=turn, done=done) + text)
    assert host.run(monkeypatch).exit_code == -signal.SIGKILL
    assert len(host.complete) == 1 + named
    if program != "path/mv":
        assert len(host.files) == len(PARTS)
    host.program(program, text)
    assert host.run(monkeypatch).ok
    assert "before-1.36.4" in host.complete
    assert len(host.files) == len(PARTS) * len(host.complete)
    assert list(host.folder.glob(".*")) == []


def guard(steps: list[Step]) -> str:
    [step] = steps
    assert isinstance(step, Command)
    return step.unless


@pytest.mark.parametrize(
    ("etcd", "name", "minutes", "due"),
    [
        ("active", "before-1.36.3-20261121T000000Z", 0, True),
        ("active", "before-1.36.4-20261121T000000Z", 0, False),
        ("active", "before-1.36.4-20261121T000000Z", 59, False),
        ("active", "before-1.36.4-20261121T000000Z", 62, True),
        ("inactive", "before-1.36.3-20261121T000000Z", 0, False),
    ],
)
def test_when_it_is_due(
    etcd: str, name: str, minutes: int, due: bool, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in a while for each version, where a member runs."""
    host.earlier(name, minutes)
    host.program("path/systemctl", f'[ "$*" = "is-active --quiet etcd" ] && [ {etcd} = active ]\n')
    monkeypatch.setenv("PATH", f"{host.root / 'path'}:{os.environ['PATH']}")
    unless = guard(snapshot(site(TOPOLOGIES["vip"], "cp1"))).replace(str(_Snapshot("").folder), str(host.folder))
    assert str(host.folder) in unless
    assert shell(unless).ok == (not due)


def test_only_members_take_one() -> None:
    external = TOPOLOGIES["external-etcd"]
    assert snapshot(site(external, "etcd1"))
    assert snapshot(site(external, "cp1")) == snapshot(site(external, "w1")) == []
