"""Which backups stay: the hosts' program for it (awk) against a model in a few lines, and what must always hold."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbootstrap.resources import folder

PROGRAM = folder("templates") / "backup/retention.awk.j2"
"""Nothing is filled in, so the template is the program."""
PERIODS = ("last", "hourly", "daily", "weekly", "monthly")
START = datetime(2024, 2, 20, tzinfo=UTC)  # a leap day and a turn of years follow


@dataclass(frozen=True, slots=True)
class Copy:
    name: str
    made: datetime
    revision: int
    good: bool = True
    rehearsed: bool = False

    def line(self) -> str:
        return f"{self.name} {self.made:%Y-%m-%dT%H:%M:%SZ} {self.revision} {self.good:d} {self.rehearsed:d}\n"


def decide(copies: Sequence[Copy], keep: Mapping[str, int]) -> dict[str, set[str]]:
    """Why each one stays; an empty set for what goes."""
    options = [word for period in PERIODS for word in ("-v", f"{period}={keep.get(period, 0)}")]
    newest_first = sorted(copies, key=lambda copy: copy.made, reverse=True)
    said = subprocess.run(
        ["awk", *options, "-f", PROGRAM],
        input="".join(copy.line() for copy in newest_first),
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    ).stdout
    found = {}
    for line in said.splitlines():
        word, name, *reasons = line.split()
        assert word == ("keep" if reasons else "drop")
        found[name] = set(",".join(reasons).split(",")) - {""}
    assert list(found) == [copy.name for copy in newest_first]
    return found


def kept(copies: Sequence[Copy], keep: Mapping[str, int]) -> set[str]:
    return {name for name, reasons in decide(copies, keep).items() if reasons}


def model(copies: Sequence[Copy], keep: Mapping[str, int]) -> set[str]:
    """The same with the standard library's calendar."""
    good = sorted((copy for copy in copies if copy.good), key=lambda copy: copy.made, reverse=True)
    stays = {copy.name for copy in good[: keep.get("last", 0)]}
    keys: dict[str, Callable[[Copy], object]] = {
        "hourly": lambda copy: copy.made.replace(minute=0, second=0),
        "daily": lambda copy: copy.made.date(),
        "weekly": lambda copy: copy.made.isocalendar()[:2],
        "monthly": lambda copy: (copy.made.year, copy.made.month),
    }
    for period, key in keys.items():
        newest: dict[object, str] = {}
        for copy in good:
            newest.setdefault(key(copy), copy.name)
        stays |= set(list(newest.values())[: keep.get(period, 0)])
    stays |= {max(good, key=lambda copy: (copy.revision, copy.made)).name} if good else set()
    stays |= {copy.name for copy in [copy for copy in good if copy.rehearsed][:1]}
    for copy in copies:
        if not copy.good and sum(other.made > copy.made for other in good) < keep.get("last", 0):
            stays.add(copy.name)
    return stays


@st.composite
def histories(draw: st.DrawFn) -> list[Copy]:
    minutes = draw(st.lists(st.integers(0, 500 * 24 * 60), min_size=0, max_size=40, unique=True))
    return [
        Copy(
            f"demo-{number}",
            START + timedelta(minutes=minute),
            draw(st.integers(1, 1_000)),
            good=draw(st.integers(0, 5)) > 0,
            rehearsed=draw(st.integers(0, 5)) == 0,
        )
        for number, minute in enumerate(minutes)
    ]


policies = st.fixed_dictionaries({"last": st.integers(1, 5)} | {name: st.integers(0, 8) for name in PERIODS[1:]})


@settings(deadline=None, max_examples=150)
@given(histories(), policies)
def test_as_the_calendar_says(copies: list[Copy], keep: dict[str, int]) -> None:
    assert kept(copies, keep) == model(copies, keep)


@settings(deadline=None, max_examples=60)
@given(histories(), policies)
def test_what_must_never_go(copies: list[Copy], keep: dict[str, int]) -> None:
    good = [copy for copy in copies if copy.good]
    stays = kept(copies, keep)
    if good:
        assert max(good, key=lambda copy: copy.made).name in stays
        assert max(copy.revision for copy in good) == max(copy.revision for copy in good if copy.name in stays)
    rehearsed = [copy for copy in good if copy.rehearsed]
    if rehearsed:
        assert max(rehearsed, key=lambda copy: copy.made).name in stays


@settings(deadline=None, max_examples=60)
@given(histories(), policies, st.data())
def test_to_prune_twice_is_to_prune_once(copies: list[Copy], keep: dict[str, int], data: st.DataObject) -> None:
    """Also where two hosts prune a target at once, and each sees only some of what the other has done."""
    stays = kept(copies, keep)
    gone = [copy for copy in copies if copy.name not in stays]
    half_done = data.draw(st.lists(st.sampled_from(gone), unique=True)) if gone else []
    assert kept([copy for copy in copies if copy not in half_done], keep) == stays


@settings(deadline=None, max_examples=60)
@given(histories(), policies)
def test_a_newer_one_never_brings_an_older_one_back(copies: list[Copy], keep: dict[str, int]) -> None:
    """So who prunes with an older listing deletes nothing that a newer listing would keep."""
    newest = Copy("demo-new", START + timedelta(days=600), 2_000)
    assert kept([*copies, newest], keep) - {"demo-new"} <= kept(copies, keep)


def test_three_generations() -> None:
    days = [Copy(f"d{number}", START + timedelta(days=number, hours=2), number) for number in range(400)]
    found = decide(days, {"last": 2, "daily": 7, "weekly": 4, "monthly": 6})
    reasons = {name: why for name, why in found.items() if why}
    assert [name for name, why in reasons.items() if "daily" in why] == [f"d{number}" for number in range(399, 392, -1)]
    assert sum("weekly" in why for why in reasons.values()) == 4
    assert sum("monthly" in why for why in reasons.values()) == 6
    assert all((START + timedelta(days=int(name[1:]))).weekday() == 6 for name in _only(reasons, "weekly"))


def _only(reasons: Mapping[str, set[str]], period: str) -> list[str]:
    return [name for name, why in reasons.items() if why == {period}]


@pytest.mark.parametrize("keep", [{"last": 1}, {"last": 1, "daily": 3}])
def test_damaged_ones_take_nobodys_place_and_go_in_time(keep: dict[str, int]) -> None:
    old = Copy("old", START, 1)
    damaged = Copy("damaged", START + timedelta(hours=5), 9, good=False)
    assert kept([old, damaged], keep) == {"old", "damaged"}
    new = Copy("new", START + timedelta(hours=9), 2)
    assert "damaged" not in kept([old, damaged, new], keep)


def test_a_clock_that_was_wrong_hides_nothing() -> None:
    """Made after the clock was set back: older by its time, but with more in it than any other."""
    future = Copy("future", START + timedelta(days=3000), 10)
    present = Copy("present", START, 20)
    assert kept([future, present], {"last": 1}) == {"future", "present"}
