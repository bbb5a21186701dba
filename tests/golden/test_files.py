"""What lands on hosts, compared with files that people have reviewed."""

from pathlib import Path

import pytest

from tests.golden.sites import SHOWN, TOPOLOGIES, steps
from tests.golden.text import host_text

FILES = Path(__file__).parent / "files"

CASES = [(topology, name) for topology, names in SHOWN.items() for name in names]


@pytest.mark.parametrize(("topology", "name"), CASES)
def test_what_lands_on_a_host(topology: str, name: str, update_golden: bool) -> None:
    found = host_text(steps(TOPOLOGIES[topology], name))
    file = FILES / topology / f"{name}.txt"
    if update_golden:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(found)
    assert found == file.read_text(), "if that is right: pytest tests/golden --update-golden"


def test_no_file_is_left_over() -> None:
    assert {path.relative_to(FILES).with_suffix("").parts for path in FILES.rglob("*.txt")} == set(CASES)
