"""Results of drills on the control machine: a JSON file for each, and the requests of the newest beside it, packed."""

import gzip
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kbootstrap.drills.folder import drills_folder
from kbootstrap.drills.result import DrillResult
from kbootstrap.drills.value import as_value, from_json, since_began
from kbootstrap.errors import CommandFailed, InvalidInput
from kbootstrap.probes.samples import Samples, read_samples, sample_lines

SAMPLES_KEPT = 100
"""Drills whose single requests are kept, the newest: some 200 kB each."""

PAGES_KEPT = 20
"""HTML reports that are kept, the newest: of a suite a megabyte or two. They can be made again."""

LATEST = "latest"
_RESULT, _SAMPLES, _PAGE = ".json", ".samples.gz", ".html"


def keep(result: DrillResult, folder: Path | None = None) -> Path:
    """Keeps a result, whole or not at all, and answers with its file. Raises CommandFailed."""
    place = folder or drills_folder(result.cluster)
    file = place / f"{result.began:%Y%m%d-%H%M%S}-{result.drill}{_RESULT}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        if result.seen is not None:
            _write(file.with_suffix(_SAMPLES), _packed(since_began(result)))
        _write(file, (json.dumps(as_value(result), indent=2) + "\n").encode())
        for old in sorted(place.glob(f"*{_SAMPLES}"))[:-SAMPLES_KEPT]:
            old.unlink()
    except OSError as error:
        raise CommandFailed(
            f"the drill's result cannot be kept: {error}", hint=f"make {place} writable, or set XDG_STATE_HOME"
        ) from error
    return file


def page_file(folder: Path, results: Sequence[DrillResult]) -> Path:
    """Where the HTML report of results that belong together is kept; the oldest ones make room for it."""
    page = folder / f"{_series(results[0])}{_PAGE}"
    others = sorted(one for one in folder.glob(f"*{_PAGE}") if one != page)
    for old in others[: max(0, len(others) + 1 - PAGES_KEPT)]:
        old.unlink(missing_ok=True)
    return page


def kept(folder: Path) -> list[DrillResult]:
    """All results, oldest first, without single requests; files that are damaged are passed over."""
    return [result for file in _files(folder) if (result := _read(file)) is not None]


def latest(folder: Path) -> list[DrillResult]:
    """The newest result, and those of the same series; without single requests. Empty if there is none."""
    found: list[DrillResult] = []
    for file in reversed(_files(folder)):
        result = _read(file)
        if result is not None and found and _series(result) != _series(found[0]):
            break
        found += [result] if result else []
    return found[::-1]


def of_run(folder: Path, run: str) -> list[DrillResult]:
    """The results of a run, a series, or the latest, with single requests if they are kept. Raises InvalidInput."""
    results = {file: result for file in _files(folder) if (result := _read(file)) is not None}
    wanted = _series([*results.values()][-1]) if results and run == LATEST else run
    found = [
        from_json(file.read_bytes(), _samples(file))
        for file, result in results.items()
        if wanted in (result.run, _series(result))
    ]
    if not found:
        raise InvalidInput(f"no drill of the run {run} is kept here", hint="kbootstrap drill history names the runs")
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_RESULT}"))


def _series(result: DrillResult) -> str:
    return result.series or result.run


def _read(file: Path) -> DrillResult | None:
    with suppress(ValueError, OSError):
        return from_json(file.read_bytes())
    return None


def _samples(file: Path) -> Samples:
    try:
        with gzip.open(file.with_suffix(_SAMPLES), "rt", encoding="utf-8") as lines:
            return read_samples(json.loads(next(lines)), lines)
    except (OSError, EOFError, ValueError, StopIteration):
        return Samples([])


def _packed(result: DrillResult) -> bytes:
    samples = result.seen.samples if result.seen else Samples([])
    names = json.dumps([track.name for track in samples.tracks])
    return gzip.compress("".join([f"{names}\n", *sample_lines(samples)]).encode())


def _write(file: Path, content: bytes) -> None:
    new = file.with_name(f".{file.name}.new")
    new.write_bytes(content)
    new.replace(file)
