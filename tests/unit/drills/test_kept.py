"""Results on the control machine: whole, in order, found again."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import pytest

from kbootstrap.drills import kept as module
from kbootstrap.drills.kept import keep, kept, latest, of_run, page_file
from kbootstrap.drills.reports.page import html
from kbootstrap.drills.result import DrillResult
from kbootstrap.drills.value import KeptObservation, KeptResult, since_began
from kbootstrap.errors import CommandFailed, InvalidInput
from kbootstrap.probes.recording import Observation
from kbootstrap.probes.samples import Samples
from tests.unit.drills.reports.made import cut_short, leader, lossy, refused, result, suite


def without_samples(found: DrillResult) -> DrillResult:
    since = since_began(found)
    return replace(
        since, interval=0.02 if found.seen else None, seen=since.seen and replace(since.seen, samples=Samples([]))
    )


def test_nothing_is_left_out_when_results_are_kept() -> None:
    assert {field.name for field in fields(DrillResult)} == set(KeptResult.model_fields)
    assert {field.name for field in fields(Observation)} - {"samples"} == set(KeptObservation.model_fields)


@pytest.mark.parametrize("made", [result(), leader(), refused(), cut_short(), lossy()])
def test_what_is_kept_is_found_again(made: DrillResult, tmp_path: Path) -> None:
    keep(made, tmp_path)
    keep(made, tmp_path)
    assert kept(tmp_path) == [without_samples(made)]
    (again,) = of_run(tmp_path, "latest")
    assert again.outage == made.outage
    assert html([again]) == html([made])
    if made.seen is not None:
        assert again.seen is not None
        assert again.seen.samples.seen == {"write-kept-0000001": 0.5}
        assert again.seen.samples.cuts == [(1.0, "silent")]


def test_all_that_belongs_together_is_reported_again(tmp_path: Path) -> None:
    first, second, third = result(day=0), replace(leader(), run="r2", series="20261121-100000-abcd"), result(day=2)
    for made in (first, second, third):
        keep(made, tmp_path)
    assert drills(of_run(tmp_path, "20261121-100000-abcd")) == ["vip-power-off", "scheduler-leader-kill"]
    assert drills(of_run(tmp_path, "r2")) == ["scheduler-leader-kill"]
    assert [one.run for one in of_run(tmp_path, "latest")] == [third.run]
    (tmp_path / keep(third, tmp_path)).unlink()
    assert drills(latest(tmp_path)) == drills(of_run(tmp_path, "latest")) == ["vip-power-off", "scheduler-leader-kill"]


def drills(results: Sequence[DrillResult]) -> list[str]:
    return [one.drill for one in results]


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    assert latest(tmp_path / "none") == []
    for run in ("r1", "latest"):
        with pytest.raises(InvalidInput, match="no drill of the run"):
            of_run(tmp_path / "none", run)


def test_a_damaged_file_hides_no_others(tmp_path: Path) -> None:
    keep(result(), tmp_path)
    damaged = keep(leader(), tmp_path)
    damaged.write_text(damaged.read_text()[:100])
    assert [one.drill for one in kept(tmp_path)] == ["vip-power-off"]
    assert [one.drill for one in latest(tmp_path)] == ["vip-power-off"]


def test_requests_are_kept_of_the_newest_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLES_KEPT", 2)
    made = [result(day=day) for day in range(4)]
    for one in made:
        keep(one, tmp_path)
    assert len(list(tmp_path.glob("*.samples.gz"))) == 2
    assert len(kept(tmp_path)) == 4
    old = of_run(tmp_path, made[0].run)
    assert old == [without_samples(made[0])]
    assert "all there" in html(old).decode()


def test_requests_that_are_damaged(tmp_path: Path) -> None:
    file = keep(result(), tmp_path)
    samples = file.with_suffix(".samples.gz")
    for content in (b"", b"nonsense", samples.read_bytes()[:100]):
        samples.write_bytes(content)
        assert of_run(tmp_path, "latest") == [without_samples(result())]


def test_requests_take_little_room(tmp_path: Path) -> None:
    assert keep(result(), tmp_path).with_suffix(".samples.gz").stat().st_size < 200_000


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "drills").write_text("")
    with pytest.raises(CommandFailed) as caught:
        keep(result(), tmp_path / "drills")
    assert "XDG_STATE_HOME" in str(caught.value.hint)


def test_old_pages_make_room(tmp_path: Path) -> None:
    for number in range(module.PAGES_KEPT + 5):
        page_file(tmp_path, [replace(refused(), run=f"r{number:02}")]).write_text("")
        page_file(tmp_path, [replace(refused(), run="x", series=f"r{number:02}")]).write_text("again")
    pages = sorted(page.name for page in tmp_path.iterdir())
    assert len(pages) == module.PAGES_KEPT
    assert (pages[0], pages[-1]) == ("r05.html", "r24.html")


def test_a_suite_is_kept_whole(tmp_path: Path) -> None:
    for one in suite():
        keep(one, tmp_path)
    assert len(kept(tmp_path)) == len(suite())
