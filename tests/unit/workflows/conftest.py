"""What several tests of workflows need."""

import os
from pathlib import Path

import pytest

from kbootstrap.workflows.timers import LocalSystemd
from tests.unit.workflows.systemd import systemd_in


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalSystemd:
    """This machine's, but for systemctl, which only notes what it was asked."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return systemd_in(tmp_path)
