"""When backups are made, written into an inventory that somebody else has written."""

from pathlib import Path

import pytest

from kbootstrap.errors import InvalidInput
from kbootstrap.model.edit import set_schedule

NEW = "*-*-* 00/6:00:00"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "inventory.yml"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("backup:\n  schedule: hourly\n", f"backup:\n  schedule: '{NEW}'\n"),
        ("backup:\n  schedule: '*:0/5' # often\n", f"backup:\n  schedule: '{NEW}' # often\n"),
        ('backup:\n  schedule:   "daily"\r\n  keep: {}\r\n', f"backup:\n  schedule: '{NEW}'\r\n  keep: {{}}\r\n"),
        ("backup:\n  schedule:\n  keep: {}\n", f"backup:\n  schedule: '{NEW}'\n  keep: {{}}\n"),
        (
            "backup: # ours\n    keep:\n      last: 3\n",
            f"backup: # ours\n    schedule: '{NEW}'\n    keep:\n      last: 3\n",
        ),
        ("backup:\r\n  keep: {}\r\n", f"backup:\r\n  schedule: '{NEW}'\r\n  keep: {{}}\r\n"),
    ],
)
def test_all_else_stays_as_it_was(was: str, now: str, file: Path) -> None:
    file.write_bytes(was.encode())
    assert set_schedule(file, NEW)
    assert file.read_bytes().decode() == now
    assert not set_schedule(file, NEW)


def test_it_can_be_taken_away(file: Path) -> None:
    file.write_text("backup:\n  schedule: hourly\n  keep: {last: 3}\n")
    assert set_schedule(file, None)
    assert file.read_text() == "backup:\n  schedule: null\n  keep: {last: 3}\n"


@pytest.mark.parametrize(
    "text", ["a: 1\n", "backup: {schedule: hourly}\n", "backup: {keep: {}}\n", "backup:\n  schedule: &often hourly\n"]
)
def test_what_cannot_be_changed_line_by_line_is_left_to_its_author(text: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(InvalidInput):
        set_schedule(file, NEW)
    assert file.read_text() == text
