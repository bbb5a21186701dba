"""Outages over many runs, and what they allow."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.cli.drill_reports import fault_rates
from kbootstrap.drills.history import (
    INTERVAL,
    YEAR_SECONDS,
    Availability,
    DrillHistory,
    Rates,
    histories,
    middle,
    spread,
    together,
)
from kbootstrap.drills.reports.past import as_value, percent, terminal
from kbootstrap.drills.result import DrillResult, Limit, Measured, Verdict
from kbootstrap.errors import InvalidInput
from tests.unit.drills.reports.made import WRITES, cut_short, refused, result, suite
from tests.unit.drills.reports.test_reports import shown

MTTF = st.floats(1.0, 1e12)
MTTR = st.floats(INTERVAL, 1e9)
OUTAGES = st.lists(st.floats(0, 1e4), min_size=1, max_size=20)


def past(outages: Sequence[float | None], drill: str = "vip") -> DrillHistory:
    measured = [
        replace(refused(), drill=drill, verdict=Verdict.FAILED, measured=(Measured(WRITES, one),)) for one in outages
    ]
    return DrillHistory(drill, tuple(measured))


@pytest.mark.parametrize(
    ("mttf", "mttr", "share", "nines"),
    [(9.0, 1.0, 0.9, 1.0), (999.0, 1.0, 0.999, 3.0), (99_999.0, 1.0, 0.99999, 5.0), (1.0, 1.0, 0.5, 0.30103)],
)
def test_availability(mttf: float, mttr: float, share: float, nines: float) -> None:
    found = Availability(mttf, mttr)
    assert found.share == pytest.approx(share)
    assert found.nines == pytest.approx(nines, abs=1e-4)
    assert found.seconds_a_year == pytest.approx(YEAR_SECONDS * (1 - share))


@given(MTTF, MTTR)
def test_what_is_missing_and_what_is_there_are_all(mttf: float, mttr: float) -> None:
    found = Availability(mttf, mttr)
    assert 0 <= found.share < 1 or math.isclose(found.share, 1)
    assert found.share + found.missing == pytest.approx(1)
    assert found.nines >= 0
    assert 10**-found.nines == pytest.approx(found.missing)


@given(MTTF, MTTR, st.floats(1.001, 1e3))
def test_rarer_faults_and_shorter_outages_are_better(mttf: float, mttr: float, factor: float) -> None:
    found = Availability(mttf, mttr)
    assert Availability(mttf * factor, mttr).missing < found.missing
    assert Availability(mttf, mttr * factor).missing > found.missing
    assert Availability(mttf * factor, mttr * factor).missing == pytest.approx(found.missing)


@given(MTTF, MTTR)
def test_a_percentage_promises_no_more_than_there_is(mttf: float, mttr: float) -> None:
    found = Availability(mttf, mttr)
    said = percent(found)
    assert said.endswith(" %")
    assert float(said.removesuffix(" %")) <= (1 - found.missing) * 100
    assert float(said.removesuffix(" %")) < 100


@given(OUTAGES, st.floats(0.01, 1000))
def test_the_mean_outage_and_the_rate_give_the_time_without_service(outages: list[float], rate: float) -> None:
    one = past(outages)
    found = one.availability(rate)
    assert found is not None
    assert one.mttr is not None
    assert min(outages) - 1e-9 <= one.mttr <= max(*outages, INTERVAL) + 1e-9
    assert found.seconds_a_year <= rate * one.mttr * (1 + 1e-9)
    assert found.seconds_a_year == pytest.approx(rate * one.mttr / (1 + rate * one.mttr / YEAR_SECONDS))


@given(OUTAGES, OUTAGES, st.floats(0.01, 100), st.floats(0.01, 100))
def test_faults_of_several_kinds_add_up(first: list[float], second: list[float], rate: float, other: float) -> None:
    one, two = past(first, "a"), past(second, "b")
    assert one.mttr is not None
    assert two.mttr is not None
    both = together([one, two, past([], "c")], Rates(rate, {"b": other}))
    assert both is not None
    assert both.mttf == pytest.approx(YEAR_SECONDS / (rate + other))
    assert both.mttr * (rate + other) == pytest.approx(rate * one.mttr + other * two.mttr)


@given(OUTAGES)
def test_middle_and_spread(outages: list[float]) -> None:
    middling, wide = middle(outages), spread(outages)
    assert middling is not None
    assert wide is not None
    assert min(outages) <= middling <= max(outages)
    assert wide == max(outages) - min(outages)


def test_an_outage_that_nobody_felt_may_have_been_as_long_as_the_time_between_two_requests() -> None:
    found = past([0.0]).availability(1)
    assert found is not None
    assert found.mttr == INTERVAL == 0.02
    slow = DrillHistory("vip", (replace(past([0.0]).last, interval=0.1),))
    assert slow.mttr == 0.1
    assert as_value([slow], Rates())["drills"][0]["availability"]["mttr_seconds"] == 0.1


def test_an_outage_that_did_not_end_allows_nothing() -> None:
    one = past([1.0, None])
    assert one.outages == (1.0, math.inf)
    found = one.availability(1)
    assert found is not None
    assert (found.share, found.nines, found.missing) == (0.0, 0.0, 1.0)
    assert spread(one.outages) is None
    said = shown(terminal([one], Rates()))
    assert "did not end" in said
    json.loads(json.dumps(as_value([one], Rates()), allow_nan=False))


def test_what_was_refused_or_cut_short_measured_nothing() -> None:
    one = DrillHistory("x", (refused(), cut_short()))
    assert (one.outages, one.recoveries, one.mttr, one.availability(1)) == ((), (), None, None)
    assert together([one], Rates()) is None
    assert "No outage of requests was measured" in shown(terminal([one], Rates()))


def test_a_limit_that_is_not_about_requests_is_no_outage() -> None:
    leads = Measured(Limit("another leads", 20.0), 16.0)
    assert replace(refused(), measured=(leads,)).outage is None
    assert replace(refused(), measured=(leads, Measured(WRITES, 0.2))).outage == 0.2


def test_by_drill_and_in_order() -> None:
    results = [result(reads=1.0, writes=1.0, day=2), *suite(), result(reads=0.5, writes=0.5, day=1)]
    found = {one.drill: one for one in histories(results)}
    assert list(found) == sorted(found)
    assert found["vip-power-off"].outages == (2.1, 0.5, 1.0)
    assert found["vip-power-off"].last.began.day == 23
    said = shown(terminal(list(found.values()), Rates(4)))
    for words in ("✓ vip-power-off", "3 of 3", "1.00 s", "2.10 s", "1.60 s", "✗ vip-handover", "0 of 1"):
        assert words in said


def values(found: Sequence[DrillResult]) -> dict[str, dict[str, object]]:
    return {one["drill"]: one for one in as_value(histories(found), Rates(4, {"vip-handover": 0.5}))["drills"]}


def test_for_machines() -> None:
    drills = values(suite())
    assert drills["vip-power-off"]["outage"] == {"median": 2.1, "worst": 2.1, "spread": 0.0}
    assert (drills["vip-power-off"]["faults_per_year"], drills["vip-handover"]["faults_per_year"]) == (4, 0.5)
    assert drills["etcd-leader-kill"]["availability"] is None


@pytest.mark.parametrize(
    ("words", "rates"),
    [
        ([], Rates(1.0, {})),
        (["4"], Rates(4.0, {})),
        (["2", "partition=12", "disk-full=0.5"], Rates(2.0, {"partition": 12, "disk-full": 0.5})),
    ],
)
def test_rates(words: list[str], rates: Rates) -> None:
    assert fault_rates(words) == rates


@pytest.mark.parametrize("word", ["", "0", "-1", "vip=", "vip=x", "nan", "inf"])
def test_rates_that_are_none(word: str) -> None:
    with pytest.raises(InvalidInput, match="no number above 0"):
        fault_rates([word])


def test_rates_of_a_drill_that_there_is_not() -> None:
    with pytest.raises(InvalidInput, match="there is no drill vip"):
        fault_rates(["vip=4"])
