"""Files that are no inventory at all: always a clear error."""

import os
from pathlib import Path

import pytest

from kbootstrap.errors import InvalidInput, Problem
from kbootstrap.model.document import EXCERPT_WIDTH, MAX_BYTES, parse_document, read_document
from kbootstrap.model.nodes import Mark


def refused(path: Path) -> Problem:
    with pytest.raises(InvalidInput) as caught:
        read_document(path)
    assert caught.value.exit_code == 3
    assert str(path) in str(caught.value)
    [problem] = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"# nothing\n\n", "empty"),
        (b"---\n...\n", "key: value"),
        (b"just text", "key: value"),
        (b"- a\n- b\n", "key: value"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "binary"),
        ("a: b".encode("utf-16"), "binary"),
        (b"a: b\nc: \xff\xfe\n", "line 2 is not UTF-8"),
        (b"a: " + b"x" * MAX_BYTES, "larger than"),
        (b"a:\n\tb: 1\n", "YAML"),
    ],
)
def test_content_that_is_no_inventory(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "inventory.yml"
    path.write_bytes(content)
    assert message in refused(path).message


def test_tabs_are_named(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text("a:\n\tb: 1\n")
    problem = refused(path)
    assert (problem.line, problem.column) == (2, 1)
    assert "tabs" in (problem.hint or "")


def test_a_missing_file(tmp_path: Path) -> None:
    problem = refused(tmp_path / "none.yml")
    assert "no such file" in problem.message
    assert "kbootstrap init" in (problem.hint or "")


def test_things_that_are_no_files(tmp_path: Path) -> None:
    assert "directory" in refused(tmp_path).message
    os.mkfifo(tmp_path / "pipe")
    assert "regular" in refused(tmp_path / "pipe").message
    (tmp_path / "loop").symlink_to("loop")
    assert refused(tmp_path / "loop").message
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file" / "below").message
    assert refused(tmp_path / ("x" * 300)).message


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "inventory.yml"
    path.touch(mode=0)

    def denied(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # the tests may run as root, whom nothing is denied
    assert "permission denied" in refused(path).message


def test_byte_order_mark_and_foreign_line_ends_are_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_document(path).value == {"a": "1", "b": "2"}


def test_places_of_what_is_there_and_of_what_is_not() -> None:
    read = parse_document("a:\n  b: [x, {c: 1}]\n", Path("f.yml"))
    assert read.place(("a", "b", 1, "c")) == Mark(2, 14)
    assert read.place(("a", "b", 1, "missing")) == Mark(2, 10)
    assert read.place(("a", "none", "deeper")) == Mark(1, 1)
    assert read.place(("a", "b", 7)) == Mark(2, 3)
    assert read.place(("a", "b")) == Mark(2, 3)


def test_excerpts_point_at_the_place() -> None:
    read = parse_document("a: {b: 1}\n", Path("f.yml"))
    assert read.problem(("a", "b"), "wrong").excerpt == "a: {b: 1}\n       ^"


def test_long_lines_are_cut_around_the_place() -> None:
    read = parse_document(f"a: {{b: {'x' * 500}, c: 1, d: {'y' * 500}}}\n", Path("f.yml"))
    excerpt = read.problem(("a", "c"), "wrong").excerpt or ""
    line, caret = excerpt.split("\n")
    assert len(line) == EXCERPT_WIDTH
    assert line[caret.index("^")] == "1"


@pytest.mark.parametrize("key", ["password", "api_token", "client_secret", "ansible_become_pass", "sudo_password"])
def test_what_may_be_a_secret_is_not_shown(key: str) -> None:
    read = parse_document(f"a: {{{key}: hunter2, b: 1}}\n", Path("f.yml"))
    assert read.problem(("a", "b"), "wrong").excerpt is None
    assert read.problem(("a", key), "wrong").excerpt is None
