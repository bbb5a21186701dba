"""What tests of commands share."""

from pathlib import Path

import pytest

from tests.unit.model.worlds import GOOD


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A good inventory, and nothing known of runs before."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "inventory.yml"
    file.write_text(GOOD)
    return str(file)
