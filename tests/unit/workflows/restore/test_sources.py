"""Which backup is meant, and from where it is taken."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kbootstrap.errors import CommandFailed
from kbootstrap.events import Event, Note, ignore
from kbootstrap.workflows.restore.faults import BackupIncomplete, BackupMissing
from kbootstrap.workflows.restore.sources import Folder, HostFolder, choose, found
from tests.fakes import FakeConnection
from tests.unit.workflows.hosts import cluster
from tests.unit.workflows.restore.backups import BACKUP, Maker


@dataclass
class Place:
    """A source that has files by name, or cannot be asked."""

    name: str
    files: tuple[str, ...] = ()
    error: str = ""
    kept: dict[str, bytes] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        if self.error:
            raise CommandFailed(self.error)
        return self.files

    def fetch(self, name: str, target: Path) -> None:
        target.write_bytes(b"")

    def keep(self, name: str, content: bytes) -> None:
        self.kept[name] = content


def complete(*ids: str) -> tuple[str, ...]:
    return tuple(name for each in ids for name in (f"{each}.json", f"{each}.tar.age"))


OLD, NEW = "demo-20261120T060000Z-cp3", "demo-20261121T060000Z-cp2"


def test_the_latest_is_that_of_the_time_in_its_name_wherever_it_is() -> None:
    places = [Place("a", complete(OLD)), Place("b", complete(OLD, NEW))]
    assert choose("demo", "latest", places, ignore) == (places[1], NEW)


def test_what_is_not_finished_or_of_another_cluster_is_not_the_latest() -> None:
    later, other = "demo-20261122T060000Z-cp1", "demo2-20261122T060000Z-cp1"
    place = Place("a", (*complete(OLD, other), f"{later}.tar.age", f"{OLD}.rehearsed.json"))
    assert choose("demo", "latest", [place], ignore) == (place, OLD)


def test_a_place_that_does_not_answer_is_told_and_passed_over() -> None:
    told: list[Event] = []
    good = Place("good", complete(NEW))
    assert choose("demo", "latest", [Place("bad", error="no route"), good], told.append) == (good, NEW)
    assert any(isinstance(event, Note) and "no route" in event.text for event in told)


def test_none_at_all_says_where_was_looked() -> None:
    with pytest.raises(BackupMissing, match="no backup of this cluster") as error:
        choose("demo", "latest", [Place("a"), Place("b", complete("other-20261122T060000Z-cp1"))], ignore)
    assert "looked in: a, b" in str(error.value.output)
    assert "other-20261122T060000Z-cp1" in str(error.value.output)


def test_one_that_is_named_is_taken_up_also_where_it_is_not_finished(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    maker.make()
    (tmp_path / f"{BACKUP}.json").unlink()
    with pytest.raises(BackupIncomplete, match="never finished"), found(cluster(), BACKUP, str(tmp_path), ignore):
        pass


def test_a_folder_of_this_machine(tmp_path: Path) -> None:
    Maker(tmp_path).make()
    with found(cluster(), "latest", str(tmp_path), ignore) as backup:
        assert backup.listing.id == BACKUP
        assert (backup.folder / f"{BACKUP}.tar.age").read_bytes() == (tmp_path / f"{BACKUP}.tar.age").read_bytes()
        backup.keep(f"{BACKUP}.rehearsed.json", b"{}")
    assert (tmp_path / f"{BACKUP}.rehearsed.json").read_bytes() == b"{}"
    assert not backup.folder.exists()
    assert (tmp_path / f"{BACKUP}.tar.age").exists()


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(BackupMissing, match="cannot be read"), found(cluster(), "latest", "/nowhere", ignore):
        pass


def test_a_target_by_its_name(tmp_path: Path) -> None:
    place = Place("offsite", complete(NEW))
    from kbootstrap.workflows.restore.faults import BackupDamaged

    with pytest.raises(BackupDamaged, match="is empty"), found(cluster(), NEW, "offsite", ignore, [place]):
        pass


def test_a_result_goes_through_the_host_s_own_program_or_beside_the_backup() -> None:
    host = FakeConnection("cp1")
    note = re.compile(rf".*etcd-backup note {BACKUP} rehearsed")
    host.expect(note)
    HostFolder(host).keep(f"{BACKUP}.rehearsed.json", b"{}")
    assert host.ran[-1].stdin == b"{}"
    assert not host.written
    bare = FakeConnection("cp1")
    bare.expect(note, exit_code=1)
    HostFolder(bare).keep(f"{BACKUP}.rehearsed.json", b"{}")
    assert list(bare.written) == [f"/var/lib/kbootstrap/backups/{BACKUP}.rehearsed.json"]


def test_a_large_file_of_a_host_comes_in_pieces(tmp_path: Path) -> None:
    host = FakeConnection("cp1")
    host.expect(re.compile("stat .*"), str(40 * 2**20))
    host.expect(re.compile(r"dd .* skip=0 .*"), b"a" * 32 * 2**20)
    host.expect(re.compile(r"dd .* skip=1 .*"), b"b" * 8 * 2**20)
    HostFolder(host).fetch("x.tar.age", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"a" * 32 * 2**20 + b"b" * 8 * 2**20
    assert Folder(tmp_path).names() == ["x"]
