"""Files, folders and links: what steps say is what the shell does."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from kbootstrap.steps.file import Absent, Directory, File, Link
from kbootstrap.steps.step import MASKED, Step
from tests.local_host import GROUP, USER, due, make

SECRET = "correct horse battery staple"


def at(path: Path) -> PurePosixPath:
    return PurePosixPath(path)


def file(path: Path, content: bytes = b"one\ntwo\n", mode: int = 0o640, *, secret: bool = False) -> File:
    return File(at(path), content, mode, USER, GROUP, secret)


STEPS: list[Callable[[Path], Step]] = [
    lambda folder: file(folder / "new" / "it's a file"),
    lambda folder: file(folder / "binary", bytes(range(256)) * 5000),
    lambda folder: file(folder / "empty", b""),
    lambda folder: file(folder / ("x" * 150)),
    lambda folder: Directory(at(folder / "deep" / "er"), 0o750, USER, GROUP),
    lambda folder: Link(at(folder / "links" / "current"), "1.2.3"),
]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_satisfied_by_its_own_change(tmp_path: Path, step: Callable[[Path], Step]) -> None:
    make(step(tmp_path))
    assert due(step(tmp_path)) is None


def test_a_file_is_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "some.conf"
    make(file(path))
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["some.conf"]


def test_only_the_mode_is_mended_when_only_the_mode_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "some.conf"
    make(file(path))
    path.chmod(0o666)
    change = due(file(path))
    assert change is not None
    assert "0666" in change.diff
    assert "0640" in change.diff
    assert "@@" not in change.diff
    assert not change.paths  # no unit restarts for it


def test_the_diff_shows_what_changes(tmp_path: Path) -> None:
    path = tmp_path / "some.conf"
    make(file(path))
    change = due(file(path, b"one\nthree\n"))
    assert change is not None
    assert "-two" in change.diff
    assert "+three" in change.diff
    assert change.paths == {at(path)}


def test_a_secret_is_in_the_script_and_nowhere_else(tmp_path: Path) -> None:
    change = due(file(tmp_path / "key", SECRET.encode(), secret=True))
    assert change is not None
    assert MASKED in change.diff
    assert SECRET not in change.title + change.diff + change.fingerprint
    assert SECRET not in repr(change.paths)


def test_a_file_whose_write_was_cut_short_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "some.conf"
    (tmp_path / ".some.conf.kbootstrap").write_text("half")
    make(file(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["some.conf"]


def test_a_folder_with_content_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    path = tmp_path / "some.conf"
    path.mkdir()
    (path / "precious").touch()
    make(file(path), expect=lambda result: not result.ok)
    assert (path / "precious").exists()


def test_a_link_is_moved(tmp_path: Path) -> None:
    current = tmp_path / "current"
    (tmp_path / "1").mkdir()
    current.symlink_to("1")
    make(Link(at(current), "2"))
    assert current.readlink() == Path("2")


def test_what_must_be_absent_goes(tmp_path: Path) -> None:
    path = tmp_path / "old"
    assert due(Absent(at(path))) is None
    path.touch()
    make(Absent(at(path)))
    assert not path.exists()
    assert list(tmp_path.iterdir()) == []
