"""Rounds are interleaved, and ratios are those of the same round."""

import pytest

from benchmarks.contest import Contender, Contest, Outcome, Spread, measure


def contest_of(said: list[str]) -> Contest:
    def contender(name: str) -> Contender:
        return Contender(
            name,
            lambda: said.append(name),
            prepare=lambda: said.append(f"prepare {name}"),
            verify=lambda: said.append(f"verify {name}"),
        )

    return Contest("test", "a test", (contender("a"), contender("b")), repeats=2)


def test_contenders_take_turns() -> None:
    said: list[str] = []
    outcome = measure(contest_of(said), 2, lambda line: None)
    one_round = ["prepare a", "a", "a", "verify a", "prepare b", "b", "b", "verify b"]
    assert said == one_round * 2
    assert {name: len(values) for name, values in outcome.seconds.items()} == {"a": 2, "b": 2}


def test_only_the_run_is_timed_and_repeats_are_divided_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def wait(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    slow = Contender("slow", lambda: wait(3), prepare=lambda: wait(100), verify=lambda: wait(100))
    outcome = measure(Contest("test", "a test", (slow,), repeats=4), 2, lambda line: None)
    assert outcome.seconds == {"slow": [3, 3]}


def test_ratios_are_of_the_same_round() -> None:
    """A machine twice as slow in the second round changes times, not ratios."""
    outcome = Outcome(contest_of([]), {"a": [2.0, 4.0, 2.0], "b": [1.0, 2.0, 1.0]})
    assert outcome.ratio("b") == Spread(2.0, 2.0, 2.0)
    assert outcome.spread("a") == Spread(2.0, 2.0, 4.0)


def test_a_contender_that_fails_ends_it() -> None:
    def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        measure(Contest("test", "a test", (Contender("a", fail),)), 3, lambda line: None)
