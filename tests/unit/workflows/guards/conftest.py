import secrets

import pytest

from tests.unit.workflows.guards.stage import BOUNDARY


@pytest.fixture(autouse=True)
def boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of facts are the same every time."""
    monkeypatch.setattr(secrets, "token_hex", lambda _bytes: BOUNDARY)
