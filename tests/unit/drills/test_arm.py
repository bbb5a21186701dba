"""The undo on the host: the scripts run in this machine's shell, in a folder of the test's, with a played systemd."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from kbootstrap.drills.arm import HEAL, Undo, arm, arm_script, armed_by, heal, left_behind
from kbootstrap.errors import CommandFailed, Unreachable
from kbootstrap.facts.drills import FOLDER, DrillMark, Mark
from tests.fakes import FakeConnection
from tests.unit.drills.stage import ARM, OWNER

MARK = armed_by(OWNER, "apiserver-kill")

PLAYED = """\
#!/bin/sh
echo "$(basename "$0") $*" >>{log}
"""


class PlayedHost:
    """A folder in place of the host's, and programs that only note that they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "drill"
        self.log = folder / "log"
        self.log.touch()
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in ("systemctl", "systemd-run"):
            (self.programs / name).write_text(PLAYED.format(log=self.log))
            (self.programs / name).chmod(0o755)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        text = script.replace(str(FOLDER), str(self.folder))
        path = f"{self.programs}:{os.environ['PATH']}"
        return subprocess.run(["sh"], input=text, text=True, capture_output=True, env={"PATH": path}, check=False)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def host(tmp_path: Path) -> PlayedHost:
    return PlayedHost(tmp_path)


def undo(host: PlayedHost, script: str = "") -> Undo:
    return Undo(script or f"echo undone >>{host.log}", MARK)


def what_systemd_runs(host: PlayedHost) -> str:
    """The undo as the timer runs it; the log has lost the quotes around it."""
    return next(call for call in host.calls if call.startswith("systemd-run")).partition("/bin/sh -c ")[2]


def test_it_is_there_before_anything_is_done(host: PlayedHost) -> None:
    assert host.run(arm_script(undo(host), 90)).returncode == 0
    assert json.loads((host.folder / "mark.json").read_text())["drill"] == "apiserver-kill"
    _, call = host.calls
    assert call.startswith("systemd-run --quiet --collect --unit=kbootstrap-drill-undo --on-active=90s ")
    assert oct(host.folder.stat().st_mode & 0o777) == "0o700"


def test_what_systemd_runs_undoes_it_and_says_when(host: PlayedHost) -> None:
    host.run(arm_script(undo(host), 90))
    assert host.run(what_systemd_runs(host)).returncode == 0
    assert "undone" in host.calls
    said = (host.folder / "mark.json").read_text() + (host.folder / "undone").read_text()
    mark = DrillMark().value(said.encode())
    assert mark is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", mark.undone)


def test_healing_undoes_it_once_and_leaves_nothing(host: PlayedHost) -> None:
    host.run(arm_script(undo(host), 90))
    assert host.run(HEAL).returncode == 0
    timer, service = (f"systemctl stop kbootstrap-drill-undo.{kind}" for kind in ("timer", "service"))
    assert host.calls[-3:] == [timer, "undone", service]
    assert not host.folder.exists()
    assert host.run(HEAL).returncode == 0
    assert host.calls.count("undone") == 1


def test_an_undo_that_fails_is_kept_for_the_next_try(host: PlayedHost) -> None:
    host.run(arm_script(undo(host, "echo no quorum >&2; exit 7"), 90))
    failed = host.run(HEAL)
    assert (failed.returncode, failed.stderr) == (1, "no quorum\n")
    assert (host.folder / "undo.sh").exists()


def test_an_undo_that_fails_is_not_done_and_systemd_tries_it_again(host: PlayedHost) -> None:
    host.run(arm_script(undo(host, "exit 7"), 90))
    assert " --property=Restart=on-failure --property=RestartSec=10s " in host.calls[-1]
    assert host.run(what_systemd_runs(host)).returncode == 7
    assert not (host.folder / "undone").exists()


def test_healing_tells_who_had_done_so_before(host: PlayedHost) -> None:
    host.run(arm_script(undo(host), 90))
    host.run(what_systemd_runs(host))
    assert host.run(HEAL).stdout == "undone-by-itself\n"
    connections = {name: FakeConnection(name) for name in ("cp1", "cp2")}
    connections["cp1"].expect(HEAL)
    connections["cp2"].expect(HEAL, "undone-by-itself\n")
    assert heal(connections) == ("cp2",)


def test_armed_again_it_is_not_undone_yet(host: PlayedHost) -> None:
    host.run(arm_script(undo(host), 90))
    (host.folder / "undone").write_text("2026-11-21T10:00:00Z\n")
    host.run(arm_script(undo(host), 90))
    assert not (host.folder / "undone").exists()


def test_a_host_without_a_mark() -> None:
    assert DrillMark().value(b"") is None
    assert DrillMark().value(b'{"half') is None


def test_several_hosts_at_once() -> None:
    hosts = {name: FakeConnection(name) for name in ("cp1", "cp2")}
    for one in hosts.values():
        one.expect(ARM)
        one.expect(HEAL)
    arm(hosts, {name: Undo("true", MARK) for name in hosts}, 60)
    heal(hosts)
    assert [len(one.ran) for one in hosts.values()] == [2, 2]


def test_one_that_cannot_be_armed_is_an_error() -> None:
    hosts = {"cp1": FakeConnection("cp1")}
    hosts["cp1"].expect(ARM, exit_code=1, stderr="Failed to start transient timer unit")
    with pytest.raises(CommandFailed, match="so nothing is done"):
        arm(hosts, {"cp1": Undo("true", MARK)}, 60)


def test_what_was_cut_short_is_found_where_a_host_answers() -> None:
    hosts = {name: FakeConnection(name) for name in ("cp1", "cp2", "cp3")}
    marked = json.dumps({"run": "r", "drill": "partition", "who": "me@there", "since": "now"})

    boundary = "0123456789abcdef"
    hosts["cp1"].expect(re.compile("(?s).*mark.json.*"), f"{marked}\n\x1e\n{boundary}\n")
    hosts["cp2"].expect(re.compile("(?s).*mark.json.*"), f"\x1e\n{boundary}\n")
    hosts["cp3"].expect(re.compile("(?s).*"), error=Unreachable("no route"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("secrets.token_hex", lambda _count: boundary)
        found = left_behind(hosts)
    assert found == {"cp1": Mark("r", "partition", "me@there", "now")}
