from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.facts.fact import Facts
from kbootstrap.facts.paths import ABSENT, PathStat, PathState
from kbootstrap.steps.block import Block
from kbootstrap.steps.step import Change

HOSTS = PurePosixPath("/etc/hosts")
BLOCK = Block(HOSTS, "us", "10.0.0.1 a\n10.0.0.2 b\n")
WRITTEN = "# BEGIN us\n10.0.0.1 a\n10.0.0.2 b\n# END us\n"


def change(block: Block, now: str | None) -> Change | None:
    stat = ABSENT if now is None else PathStat("file", 0o640, "alice", "staff", now.encode())
    return block.diff(Facts({PathState(block.path): stat}), frozenset())


def merged(block: Block, now: str) -> str:
    return block._merged(now)


def test_the_rest_of_the_file_stays() -> None:
    assert merged(BLOCK, "127.0.0.1 localhost\n") == "127.0.0.1 localhost\n" + WRITTEN
    assert merged(BLOCK, "127.0.0.1 localhost") == "127.0.0.1 localhost\n" + WRITTEN
    before, after = "127.0.0.1 localhost\n", "10.9.9.9 else\n"
    old = "# BEGIN us\n10.0.0.9 gone\n# END us\n"
    assert merged(BLOCK, before + old + after) == before + WRITTEN + after


def test_owner_and_mode_stay() -> None:
    due = change(BLOCK, "127.0.0.1 localhost\n")
    assert due is not None
    assert "chown alice:staff" in due.script
    assert "chmod 0640" in due.script
    assert "+10.0.0.1 a" in due.diff


def test_a_missing_file_is_made() -> None:
    due = change(BLOCK, None)
    assert due is not None
    assert "chown root:root" in due.script


def test_nothing_to_do() -> None:
    assert change(BLOCK, "127.0.0.1 localhost\n" + WRITTEN) is None
    assert change(Block(HOSTS, "us", ""), "127.0.0.1 localhost\n") is None
    assert change(Block(HOSTS, "us", ""), None) is None


def test_an_empty_block_is_taken_out() -> None:
    assert merged(Block(HOSTS, "us", ""), "a\n" + WRITTEN + "b\n") == "a\nb\n"


def test_a_block_of_somebody_else_is_not_ours() -> None:
    other = "# BEGIN them\nx\n# END them\n"
    assert merged(BLOCK, other) == other + WRITTEN


@given(st.text(alphabet="ab#\n\\", max_size=60), st.text(alphabet="ab\\1", min_size=1, max_size=20))
def test_merging_twice_is_merging_once(text: str, content: str) -> None:
    block = Block(HOSTS, "us", content)
    once = merged(block, text)
    assert merged(block, once) == once
    assert once.startswith(text)


@pytest.mark.parametrize("now", [b"\xff\xfe raw\n", b"plain\n"])
def test_bytes_that_are_no_text_survive(now: bytes) -> None:
    stat = PathStat("file", 0o644, "root", "root", now)
    due = BLOCK.diff(Facts({PathState(HOSTS): stat}), frozenset())
    assert due is not None
