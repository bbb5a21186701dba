"""A result of a real drill, as it was kept: the leading etcd member of three killed, on two shared cores."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from kbootstrap.drills.history import histories
from kbootstrap.drills.kept import of_run
from kbootstrap.drills.reports.junit import junit
from kbootstrap.drills.reports.page import html
from kbootstrap.drills.reports.terminal import terminal
from kbootstrap.drills.result import DrillResult, Kind, Verdict
from kbootstrap.drills.value import as_value
from tests.unit.probes.markup import parsed

FOLDER = Path(__file__).parent / "recorded"


@pytest.fixture
def recorded() -> DrillResult:
    (found,) = of_run(FOLDER, "latest")
    return found


def test_it_is_read_as_it_was_written(recorded: DrillResult) -> None:
    (file,) = FOLDER.glob("*.json")
    newer = {
        "series": "",
        "interval": 0.1,
        "possible": True,
        "felt": None,
        "excused": 0,
        "notes": [],
    }  # what results did not say yet when it was kept
    assert json.loads(json.dumps(as_value(recorded))) == json.loads(file.read_text()) | newer
    assert (recorded.drill, recorded.verdict, recorded.hosts) == ("etcd-leader-kill", Verdict.PASSED, ("cp2",))
    assert recorded.seen is not None
    assert [reading.where for reading in recorded.seen.ledgers] == [
        "the API",
        "etcd on cp1",
        "etcd on cp2",
        "etcd on cp3",
    ]


def test_its_reports(recorded: DrillResult) -> None:
    text = html([recorded]).decode()
    parsed(text.encode())
    leader = next(moment for moment in recorded.moments if moment.kind is Kind.LEADER)
    for words in ("passed; no acknowledged write of 424 is lost", leader.text, "election", "500 ms", "all there"):
        assert words in text
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(terminal([recorded]))
    assert "writes 0.99 s (2 s)" in console.export_text()
    assert 'failures="0" errors="0"' in junit([recorded])


def test_what_it_allows(recorded: DrillResult) -> None:
    (history,) = histories([recorded])
    available = history.availability(1)
    assert available is not None
    assert history.mttr == pytest.approx(1.008, abs=1e-3)
    assert 7.4 < available.nines < 7.5
