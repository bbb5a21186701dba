from collections.abc import Iterator
from pathlib import Path

import pytest

from kbootstrap.artifacts.cache import Cache
from kbootstrap.artifacts.source import Origin, SourceSettings
from tests.unit.artifacts.publisher import Publisher, publishing


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publishing() as opened:
        yield opened


@pytest.fixture
def impatient(publisher: Publisher) -> SourceSettings:
    return SourceSettings(
        origin=Origin.RELEASE,
        mirror=publisher.address,
        probe_timeout=5.0,
        stall_timeout=20.0,
        download_deadline=60.0,
        retry_pause=0.0,
    )
