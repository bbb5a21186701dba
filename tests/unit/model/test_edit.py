"""The version in an inventory's file, and nothing else of it."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.errors import InvalidInput
from kbootstrap.model.document import read_document
from kbootstrap.model.edit import set_version
from kbootstrap.model.versions import Version
from tests.unit.model.worlds import GOOD, Desk

NEW = Version(1, 37, 1)
BLOCK = """\
# our cluster
apiVersion: kbootstrap/v1
cluster:
  name: demo            # 1.36.4 was here first
  kubernetes: {}  # see the ticket

  endpoint: {{vip: 198.18.0.100}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "inventory.yml"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("1.36.4", "1.37.1"),
        ("v1.36.4", "1.37.1"),
        ('"1.36.4"', '"1.37.1"'),
        ("'v1.36.4'", "'1.37.1'"),
        ("1.36.4     ", "1.37.1     "),
    ],
)
def test_comments_quotes_and_blanks_stay(was: str, now: str, file: Path) -> None:
    file.write_text(BLOCK.format(was))
    assert set_version(file, NEW)
    assert file.read_text() == BLOCK.format(now)


def test_a_mapping_on_one_line(file: Path) -> None:
    file.write_text(GOOD)
    assert set_version(file, NEW)
    assert file.read_text() == GOOD.replace("kubernetes: 1.36.4", "kubernetes: 1.37.1")


@pytest.mark.parametrize("same", ["1.37.1", "v1.37.1", '"1.37.1"'])
def test_a_file_that_says_so_already_is_left_alone(same: str, file: Path) -> None:
    file.write_text(BLOCK.format(same))
    before = file.stat()
    assert not set_version(file, NEW)
    assert file.read_text() == BLOCK.format(same)
    assert file.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    "text", [BLOCK.format("1.36.4"), "cluster: {name: démo, kubernetes: 1.36.4}\n", BLOCK[:-1].format("1.36.4")]
)
def test_line_breaks_and_a_byte_order_mark_stay(head: bytes, end: bytes, text: str, file: Path) -> None:
    raw = head + text.encode().replace(b"\n", end)
    file.write_bytes(raw)
    assert set_version(file, NEW)
    assert file.read_bytes() == raw.replace(b"kubernetes: 1.36.4", b"kubernetes: 1.37.1")


@pytest.mark.parametrize(
    "text",
    [
        "cluster:\n  kubernetes: &v 1.36.4\n",
        "cluster:\n  name: &v 1.36.4\n  kubernetes: *v\n",
        "cluster:\n  kubernetes: !!str 1.36.4\n",
        "cluster:\n  kubernetes: >-\n    1.36.4\n",
        'cluster:\n  kubernetes: "1.36\\x2e4"\n',
        "cluster:\n  name: demo\n",
        "cluster: demo\n",
        "hosts: {}\n",
    ],
)
def test_what_is_not_plain_text_in_its_place_is_refused_and_left_alone(text: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        set_version(file, NEW)
    assert caught.value.hint == "write kubernetes: 1.37.1"
    assert file.read_text() == text


def test_a_version_in_another_place_is_none(file: Path) -> None:
    file.write_text("x: {kubernetes: 1.36.4}\ncluster: {kubernetes: 1.36.4}\n")
    assert set_version(file, NEW)
    assert file.read_text() == "x: {kubernetes: 1.36.4}\ncluster: {kubernetes: 1.37.1}\n"


def test_what_a_link_leads_to_is_changed(file: Path) -> None:
    target = file.with_name("somewhere.yml")
    target.write_text(GOOD)
    file.symlink_to(target.name)
    assert set_version(file, NEW)
    assert file.is_symlink()
    assert "kubernetes: 1.37.1" in target.read_text()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_the_mode_stays(mode: int, file: Path) -> None:
    file.write_text(GOOD)
    file.chmod(mode)
    assert set_version(file, NEW)
    assert file.stat().st_mode & 0o7777 == mode


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a file away")
def test_the_owner_stays(file: Path) -> None:
    file.write_text(GOOD)
    os.chown(file, 1234, 4321)
    assert set_version(file, NEW)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 4321)


def test_nothing_else_is_left_in_the_folder(file: Path) -> None:
    file.write_text(GOOD)
    assert set_version(file, NEW)
    assert list(file.parent.iterdir()) == [file]


def test_a_disk_that_is_full(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(GOOD)

    def full(_number: int, _mode: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(InvalidInput, match="No space left on device"):
        set_version(file, NEW)
    assert file.read_text() == GOOD
    assert list(file.parent.iterdir()) == [file]


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), max_size=20),
    st.builds(Version, st.integers(1, 3), st.integers(0, 99), st.integers(0, 99)),
)
def test_the_inventory_means_the_same_but_for_its_version(
    tmp_path_factory: pytest.TempPathFactory, comment: str, version: Version
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    text = f"# {comment}\n" + GOOD.replace("kubernetes: 1.36.4,", f"kubernetes: 1.36.4, # {comment}\n ")
    before = read_document_of(desk, text)
    set_version(desk.file, version)
    after = read_document(desk.file).value
    assert after == {**before, "cluster": {**before["cluster"], "kubernetes": str(version)}}


def read_document_of(desk: Desk, text: str) -> dict[str, dict[str, object]]:
    desk.file.write_text(text, encoding="utf-8")
    value: dict[str, dict[str, object]] = read_document(desk.file).value  # type: ignore[assignment]
    return value
