"""The scripts of a restore, run in this machine's shell: old data are kept, and what dies half-way is gone on with."""

from pathlib import Path, PurePosixPath
from types import ModuleType, SimpleNamespace

import pytest

from kbootstrap.components import etcd
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Step
from kbootstrap.workflows.restore import steps as module
from kbootstrap.workflows.restore.record import Record
from kbootstrap.workflows.restore.steps import Restoration
from tests.golden.sites import TOPOLOGIES, site
from tests.local_host import due, shell
from tests.unit.workflows.hosts import cluster

RUN = "20261121-070000-abcd"
RECORD = Record(backup="demo-20261121T060000Z-cp1", run=RUN, began="2026-11-21T07:00:00+00:00")

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >>"$LOG"
[ "$1" = is-active ] && exit 3
exit 0
"""
ETCDUTL = """\
#!/bin/sh
echo "etcdutl $@" >>"$LOG"
for word in "$@"; do
  case $word in --data-dir=*) mkdir -p "${word#*=}/member/snap"; echo restored >"${word#*=}/member/snap/db" ;; esac
done
"""


class World:
    """A host's folder, with stand-ins for systemctl and etcdutl."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data = folder / "etcd"
        self.log = folder / "log"
        tools = folder / "tools"
        tools.mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("etcdutl", ETCDUTL), ("chown", "#!/bin/sh\n")):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
        monkeypatch.setenv("LOG", str(self.log))
        monkeypatch.setattr(etcd, "DATA", PurePosixPath(self.data))
        programs = SimpleNamespace(program=lambda name: tools / name)
        monkeypatch.setattr(module, "ETCD", programs)
        self.aside = self.data / f"before-{RUN}"

    def old_data(self) -> None:
        (self.data / "member").mkdir(parents=True)
        (self.data / "member" / "db").write_text("old")

    @property
    def present(self) -> str:
        """What the member would start on."""
        for name in ("db", "snap/db"):
            if (self.data / "member" / name).exists():
                return (self.data / "member" / name).read_text().strip()
        return "nothing"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def carry_out(step: Step) -> bool:
    """Whether there was anything to do."""
    change = due(step)
    if change is None:
        return False
    result = shell(change.script, "-eu")
    assert result.ok, result.errors
    return True


def aside(module: ModuleType = module) -> Step:
    (step,) = module.aside(None, Restoration(RECORD))
    return step  # type: ignore[no-any-return]


def back() -> Step:
    return module.back(None, Restoration(RECORD))[0]  # type: ignore[arg-type]


def restored(world: World) -> Step:
    hosts = cluster()
    site = SimpleNamespace(cluster=hosts, host=hosts.host("cp2"))
    return module._restored(site, Restoration(RECORD))  # type: ignore[arg-type]


def test_old_data_are_moved_not_deleted(world: World) -> None:
    world.old_data()
    assert carry_out(aside())
    assert (world.aside / "member" / "db").read_text() == "old"
    assert world.present == "nothing"
    assert not carry_out(aside())


def test_a_host_without_data_is_no_problem(world: World) -> None:
    assert carry_out(aside())
    assert (world.aside / "moved").exists()
    assert not carry_out(aside())


def test_killed_between_moving_and_noting_it(world: World) -> None:
    world.old_data()
    world.aside.mkdir()
    (world.data / "member").rename(world.aside / "member")
    assert carry_out(aside())
    assert (world.aside / "member" / "db").read_text() == "old"


def test_restored_data_are_never_taken_for_old_ones(world: World) -> None:
    world.old_data()
    carry_out(aside())
    assert carry_out(restored(world))
    assert world.present == "restored"
    assert not carry_out(aside())
    assert not carry_out(restored(world))
    assert (world.aside / "member" / "db").read_text() == "old"


def test_all_members_restore_alike_but_for_their_own_names(world: World) -> None:
    carry_out(aside())
    carry_out(restored(world))
    said = world.log.read_text()
    assert f"--initial-cluster-token=demo-{RUN}" in said
    assert "--name=cp2 " in said
    assert (
        "--initial-cluster=cp1=https://198.18.0.11:2380,cp2=https://198.18.0.12:2380,cp3=https://198.18.0.13:2380"
        in said
    )
    assert "--bump-revision=1000000000 --mark-compacted" in said


def test_what_a_killed_etcdutl_left_is_made_anew(world: World) -> None:
    carry_out(aside())
    (world.data / ".restoring" / "member").mkdir(parents=True)
    assert carry_out(restored(world))
    assert world.present == "restored"


def test_undone_after_it_ended(world: World) -> None:
    world.old_data()
    carry_out(aside())
    carry_out(restored(world))
    carry_out(back())
    assert world.present == "old"
    assert (world.aside / "restored" / "snap" / "db").read_text().strip() == "restored"
    carry_out(back())
    assert world.present == "old"


@pytest.mark.parametrize("far", ["not begun", "moved aside", "restored"])
def test_undone_wherever_it_was_killed(world: World, far: str) -> None:
    world.old_data()
    if far != "not begun":
        carry_out(aside())
    if far == "restored":
        carry_out(restored(world))
    carry_out(back())
    carry_out(back())
    assert world.present == "old"


def test_undone_where_undoing_was_killed(world: World) -> None:
    world.old_data()
    carry_out(aside())
    carry_out(restored(world))
    (world.data / "member").rename(world.aside / "restored")
    carry_out(back())
    assert world.present == "old"


def test_undone_on_a_host_that_had_no_data(world: World) -> None:
    carry_out(aside())
    carry_out(restored(world))
    carry_out(back())
    assert world.present == "nothing"
    assert (world.aside / "restored").is_dir()


def test_members_that_start_together_do_not_wait_for_each_other(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = etcd.etcd(site(TOPOLOGIES["vip"], "cp2"))
    unit = next(step for step in steps if isinstance(step, File) and step.path.name == etcd.UNIT)
    (tmp_path / etcd.UNIT).write_bytes(unit.content)
    monkeypatch.setattr(module, "unit_path", lambda name: PurePosixPath(tmp_path / name))
    monkeypatch.setattr(module, "_TOGETHER", PurePosixPath(tmp_path / "run" / "restore.conf"))
    assert carry_out(module._together())
    command = unit.content.decode().partition("ExecStart=")[2].partition("\nExecStartPost")[0]
    assert "InitialCorruptCheck=true" in command
    changed = command.replace("InitialCorruptCheck=true", "InitialCorruptCheck=false")
    assert (tmp_path / "run" / "restore.conf").read_text() == f"[Service]\nExecStart=\nExecStart={changed}\n"
    assert "daemon-reload" in world.log.read_text()


def test_apiservers_of_the_past_are_forgotten_before_any_may_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = world.log.parent / "tools"
    (tools / "etcdctl").write_text('#!/bin/sh\necho "etcdctl $@" >>"$LOG"\n')
    (tools / "etcdctl").chmod(0o755)
    monkeypatch.setattr(module, "LOCAL_BIN", tools)
    monkeypatch.setattr(module, "STAGE", PurePosixPath(world.data / "stage"))
    monkeypatch.setattr(module, "FENCE", PurePosixPath(world.data / "fence.d" / "restore.conf"))
    monkeypatch.setattr(module, "_TOGETHER", PurePosixPath(world.data / "run" / "restore.conf"))
    for step in module.unfence(site(TOPOLOGIES["vip"], "cp2"), Restoration(RECORD)):
        carry_out(step)
    forgotten, *others = world.log.read_text().splitlines()
    assert forgotten == "etcdctl --command-timeout=10s del --prefix /registry/masterleases/"
    assert others == ["daemon-reload"] * 2  # the fence goes after it
