"""How long users felt nothing but silence, and what became of their writes."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.drills.drill import Course, Rule
from kbootstrap.drills.measure import (
    READS,
    failed_since,
    jitter,
    longest_outage,
    longest_wait,
    losses,
    outage,
    reached,
    serving,
    silence,
    slow,
    steady,
    unbroken,
    unfelt,
    watched,
)
from kbootstrap.drills.result import Jitter, Kind, Measured, Moment
from kbootstrap.probes.ledger import Verdict
from kbootstrap.probes.recording import Observation
from kbootstrap.probes.samples import Move, Samples, Track
from kbootstrap.probes.spec import object_name
from tests.unit.drills.stage import observation, track

FAULT = 4.0
GRID = [number / 50 for number in range(500)]


def course(seen: Observation, **reached: float) -> Course:
    moments = (
        Moment(FAULT, Kind.FAULT, "kill"),
        Moment(6.0, Kind.RECOVER, "undo"),
        Moment(9.0, Kind.STEADY_AGAIN, "well"),
    )
    return Course(moments, seen, reached, {"late": "it sleeps"})


def measured(rule: Rule, seen: Observation, **reached: float) -> Measured:
    return rule.measure(rule.limit, course(seen, **reached))


def with_gap(began: float, ended: float, name: str = "api-new") -> Track:
    """Requests fail from `began` on, and are good again at `ended`."""
    return track(name, [at for at in GRID if not began <= at < ended], [at for at in GRID if began <= at < ended])


def test_nothing_happened() -> None:
    found = measured(outage("reads", 1, *READS), observation(track("api-new", GRID)))
    assert found.within
    assert found.seconds is not None
    assert found.seconds < 0.1
    assert measured(unfelt(*READS), observation(track("api-new", GRID))).seconds == 0


def test_an_outage_is_from_the_first_failure_to_the_next_good_one() -> None:
    found = measured(outage("reads", 1, *READS), observation(with_gap(4.2, 5.0)))
    assert found.seconds is not None
    assert abs(found.seconds - 0.8) < 0.03
    assert "refused" in found.detail


def test_the_probe_that_felt_most_counts_and_no_other_probe() -> None:
    seen = observation(with_gap(4.2, 5.0), with_gap(4.2, 6.0, "api-kept"), with_gap(4.2, 9.0, "application"))
    found = measured(outage("reads", 1, *READS), seen)
    assert not found.within
    assert found.detail.startswith("api-kept")


def test_what_failed_before_the_fault_is_not_its_doing() -> None:
    assert measured(unfelt(*READS), observation(with_gap(1.0, 2.0))).within


def test_requests_that_hang_without_failing_count_as_well() -> None:
    hung = track("api-new", [at for at in GRID if not 4.2 <= at < 7.0])
    found = measured(outage("reads", 1, *READS), observation(hung))
    assert not found.within
    assert measured(unfelt(*READS), observation(hung)).within


def test_the_time_until_the_next_request_is_due_is_no_outage() -> None:
    seldom = track("api-new", [number / 5 for number in range(50)], seconds=0.03)
    assert silence(seldom, FAULT, 9.9) == pytest.approx(0.03)
    slow = track("api-new", [number / 5 for number in range(25)], seconds=0.03)
    slow.began.append(5.0)
    slow.seconds.append(0.5)
    assert silence(slow, FAULT, 5.5) == pytest.approx(0.5)


def test_one_failed_request_is_too_many_where_none_may_fail() -> None:
    assert not measured(unfelt(*READS), observation(with_gap(4.2, 4.21))).within


def test_an_outage_that_does_not_end() -> None:
    found = measured(outage("reads", 1, *READS), observation(with_gap(4.2, 11)))
    assert (found.seconds, found.within) == (None, False)
    assert found.detail.endswith("; it did not end")


def test_what_the_end_of_the_observation_cuts_off_is_no_outage_without_end() -> None:
    found = measured(outage("reads", 1, *READS), observation(with_gap(9.8, 11)))
    assert found.seconds is not None
    assert found.seconds <= 0.25


def test_what_was_not_sent_was_not_measured() -> None:
    found = measured(outage("reads", 1, *READS), observation(track("write-new", [1.0])))
    assert (found.seconds, found.detail) == (None, "none of them was sent")


def test_the_longest_outage_is_known_where_nothing_is_limited() -> None:
    moments = (Moment(4.0, Kind.FAULT, "x"),)
    assert longest_outage(Course(moments, observation(track("application", [1.0])))) is None
    found = longest_outage(Course(moments, observation(with_gap(4.2, 5.2))))
    assert found is not None
    assert 0.9 < found < 1.1
    assert longest_outage(Course(moments, observation(with_gap(4.2, 11)))) == math.inf


def test_what_is_awaited() -> None:
    seen = observation(track("api-new", GRID))
    assert measured(reached("lead", 2), seen, lead=5.5).seconds == 1.5
    late = measured(reached("late", 2), seen)
    assert (late.within, late.detail) == (False, "it sleeps")


def test_how_long_it_took_to_be_steady_again() -> None:
    assert measured(steady("healthy", 60), observation(track("api-new", GRID))).seconds == 3.0


@pytest.mark.parametrize(
    ("cuts", "moves", "broke"),
    [
        ([], [], ""),
        ([(3.9, "silent")], [Move(1, 3.9, 0.05, "reset")], ""),
        ([(4.5, "silent")], [], "1 broke; first, 0.50 s after the fault, the watch: silent"),
        ([(4.5, "silent")], [Move(1, 4.1, 0.1, "reset")], "2 broke; first, 0.20 s after the fault, api-kept: reset"),
        ([], [Move(1, 3.9, 0.2, "reset")], "1 broke; first, 0.10 s after the fault, api-kept: reset"),
    ],
)
def test_connections_that_break(cuts: list[tuple[float, str]], moves: list[Move], broke: str) -> None:
    seen = observation(track("api-kept", GRID), track("application", GRID))
    seen.samples.cuts, seen.samples.tracks[0].moves = cuts, moves
    seen.samples.tracks[1].moves = [Move(1, 5.0, 0.1, "of no concern")]
    found = measured(unbroken("open connections go on"), seen)
    assert (found.within, found.detail) == (not broke, broke)


def test_the_first_good_request_after_the_last_that_failed() -> None:
    seen = observation(with_gap(4.2, 5.0), with_gap(4.2, 6.0, "write-new"))
    at = serving(seen, FAULT, ("api-new", "write-new"))
    assert at is not None
    assert abs(at - 6.0) < 0.03
    assert serving(seen, 7.0, ("api-new",)) is None


def test_the_jitter_is_of_the_time_before_the_fault() -> None:
    (found,) = jitter([track("api-new", GRID)], 0.0, FAULT)
    assert found.longest == 0.01
    assert jitter([track("api-new", [5.0])], 0.0, FAULT) == ()
    assert jitter([track("api-new", [1.0])], 2.0, FAULT) == ()


def test_one_slow_answer_of_a_hundred_is_no_slow_cluster() -> None:
    calm = Jitter("api-new", 0.004, 0.25, 0.9)
    assert slow([calm]) is None
    assert slow([calm, Jitter("write-new", 0.1, 0.26, 0.3)]) == Jitter("write-new", 0.1, 0.26, 0.3)
    assert slow([]) is None


def test_what_failed_since() -> None:
    assert failed_since([with_gap(4.2, 4.3)], 5.0) == []
    assert failed_since([with_gap(4.2, 4.3)], 11.0) == ["api-new: no request was answered"]
    assert failed_since([with_gap(4.2, 4.3)], 4.0) == ["api-new: 5 requests failed; first: refused"]


def test_lost_writes_are_named_and_those_after_a_backup_forgiven() -> None:
    lost = ("write-new-0000001", "write-new-0000400")
    seen = observation(
        track("write-new", GRID), ledgers=(Verdict("the API", 500, 0, 0, lost), Verdict("etcd on cp2", 500, 0, 0))
    )
    assert losses(seen) == [f"2 acknowledged writes are not in the API, such as {', '.join(lost)}"]
    assert losses(seen, kept_until=5.0) == ["1 acknowledged writes are not in the API, such as write-new-0000001"]
    assert losses(seen, kept_until=0.0) == []


def test_an_outage_counts_wherever_it_is_felt() -> None:
    seen = observation(track("api-new", GRID), replace(with_gap(5.0, 7.0), name="api-new.w1"))
    (rule,) = (outage("reads", 1, *READS),)
    measured = rule.measure(rule.limit, Course((Moment(FAULT, Kind.FAULT, "x"),), seen))
    assert not measured.within
    assert measured.detail.startswith("api-new.w1: ")
    assert serving(seen, FAULT, READS) is not None


def test_a_watch_of_objects_need_not_tell_of_keys() -> None:
    seen = watching(track("write-new", [1.0]), track("etcd-write", [1.0]), seen={"write-new-0000000": 1.5})
    found = watched(seen)
    assert found is not None
    assert found.missing == ()


def test_what_cannot_be_read_back_is_no_proof() -> None:
    seen = observation(ledgers=(Verdict("etcd on cp2", 500, 0, 0, problem="no route"),))
    assert losses(seen, kept_until=0.0) == ["the acknowledged writes could not be read back from etcd on cp2: no route"]


def watching(*tracks: Track, seen: dict[str, float], cuts: list[tuple[float, str]] | None = None) -> Observation:
    made = observation(*tracks)
    return replace(made, samples=Samples(made.samples.tracks, seen=seen, cuts=cuts or []))


def test_a_watch_tells_of_every_write_and_how_late() -> None:
    names = {object_name("write-new", serial): at + 0.02 for serial, at in enumerate(GRID)}
    late = {**names, object_name("write-new", 200): GRID[200] + 1.51}
    found = watched(watching(track("write-new", GRID), track("api-new", GRID), seen=late, cuts=[(4.1, "silent")]))
    assert found is not None
    assert (found.missing, round(found.latest, 2), found.events) == ((), 1.5, 500)
    assert "1.50 s after" in found.said
    assert "broke once (silent)" in found.said


def test_what_a_watch_never_told_of_is_named_but_for_what_may_be_lost() -> None:
    names = {object_name("write-new", serial): at for serial, at in enumerate(GRID) if serial != 300}
    seen = watching(track("write-new", GRID), seen=names)
    assert [one.missing if one else None for one in (watched(seen), watched(seen, 5.0), watched(seen, 7.0))] == [
        ("write-new-0000300",),
        (),
        ("write-new-0000300",),
    ]
    assert watched(observation(track("write-new", GRID))) is None


@given(st.lists(st.floats(0, 10), unique=True, max_size=50), st.floats(0, 10))
def test_silence_is_between_nothing_and_the_whole_time(good: list[float], since: float) -> None:
    found = silence(track("api-new", good, seconds=0.0), since, 10.0)
    assert 0 <= found <= 10.0 - since + 1e-9


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_a_budget_that_is_kept_means_that_no_gap_is_longer(good: list[bool]) -> None:
    """Whatever fails in whichever order: what is measured is at least every run of failures."""
    times = [FAULT + number / 50 for number in range(len(good))]
    one = track(
        "api-new",
        [at for at, well in zip(times, good, strict=True) if well],
        [at for at, well in zip(times, good, strict=True) if not well],
    )
    found = measured(outage("reads", 1, *READS), observation(one, ended=times[-1] + 0.02))
    runs = [len(run) for run in "".join("." if well else "x" for well in good).split(".") if run]
    assert found.seconds is not None
    assert found.seconds >= max(runs, default=0) / 50 - 1e-6


@pytest.mark.parametrize(("answered", "waited"), [(True, 3.5), (False, 5.0)], ids=["late", "never"])
def test_a_request_under_way_counts_from_the_fault_on(*, answered: bool, waited: float) -> None:
    hung = track("api-kept", [3.0] if answered else [], [] if answered else [4.0], waited + (1.0 if answered else 0.0))
    found = measured(longest_wait("one", 4, "api-kept"), observation(hung, track("api-kept.w1", GRID)))
    assert found.seconds == pytest.approx(waited)
    assert (found.within, found.detail) == (answered, "api-kept")
    assert not found.limit.probes, "history would take it for an outage"


def test_who_asks_later_does_not_ask_at_what_was_lost() -> None:
    late = track("api-kept", [*GRID[:300], FAULT + 4.005], seconds=0.01)
    late.seconds[late.began.index(FAULT + 4.005)] = 5.0
    found = measured(longest_wait("one", 4, "api-kept"), observation(late))
    assert found.seconds is not None
    assert found.seconds < 0.1


def test_requests_that_nobody_sent_waited_for_nothing() -> None:
    assert not measured(longest_wait("one", 4, "api-kept"), observation(track("api-new", GRID))).within
