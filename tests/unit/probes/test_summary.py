"""What a run's samples mean, and what becomes of them in reports."""

import json
import time
from array import array
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kbootstrap.probes.exchange import Outcome
from kbootstrap.probes.ledger import ledger
from kbootstrap.probes.page import html
from kbootstrap.probes.recording import Account, Mark, Observation, Span
from kbootstrap.probes.report import Report, as_json, terminal
from kbootstrap.probes.samples import Failure, Samples, Track, census_line, read_samples, sample_line
from kbootstrap.probes.spec import object_name
from kbootstrap.probes.summary import SAME_OUTAGE_SECONDS, Summary, percentile, summarize
from tests.unit.probes.markup import parsed

BEGAN = 1000.0
STARTED = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)

OUTCOMES = st.one_of(
    st.just(Outcome()),
    st.builds(Outcome, error=st.text(max_size=5), moved=st.text(max_size=5), maybe=st.booleans()),
)


def track(name: str, outcomes: list[str], interval: float = 0.02, seconds: float = 0.004) -> Track:
    """Requests on a grid; a word is the reason of a failure."""
    made = Track(name, highest=len(outcomes) - 1)
    for serial, error in enumerate(outcomes):
        at = BEGAN + serial * interval
        if error:
            made.failures.append(Failure(serial, at, seconds, error, maybe=False))
        else:
            made.serials.append(serial)
            made.began.append(at)
            made.seconds.append(seconds)
    return made


def seen(
    *tracks: Track, ended: float = 10.0, census: tuple[tuple[float, int], ...] = (), wanted: int = 0
) -> Observation:
    samples = Samples(list(tracks), [(BEGAN + at, count) for at, count in census])
    return Observation(STARTED, BEGAN, BEGAN + ended, samples, replicas_wanted=wanted)


def summary_of(*outcomes: str, ended: float = 10.0) -> Summary:
    return summarize(seen(track("probe", list(outcomes)), ended=ended))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10**6), st.floats(0, 1e6), st.floats(0, 60), OUTCOMES)))
def test_samples_survive_being_written(written: list[tuple[int, int, float, float, Outcome]]) -> None:
    lines = [sample_line(*sample) for sample in written] + [census_line(1.0, 2)]
    read = read_samples(["a", "b", "c"], lines)
    assert sum(one.requests for one in read.tracks) == len(written)
    assert [len(one.failures) for one in read.tracks] == [
        sum(1 for number, *_, outcome in written if number == wanted and outcome.error) for wanted in range(3)
    ]
    assert sum(len(one.moves) for one in read.tracks) == sum(1 for *_, outcome in written if outcome.moved)
    assert read.census == [(1.0, 2)]


def test_a_line_that_is_not_whole_is_left_out() -> None:
    assert read_samples(["a"], ["[0,0,1.0,0.1]\n", "[0,1,1."]).tracks[0].requests == 1


def test_nothing_felt() -> None:
    found = summary_of(*[""] * 500)
    assert found.unnoticed
    assert (found.requests, found.failed, found.moved) == (500, 0, 0)
    assert found.probes[0].outages == ()
    assert found.probes[0].silence == pytest.approx(0.02, abs=1e-6)


def test_an_outage_lasts_from_the_first_failure_to_the_next_good_request() -> None:
    (probe,) = summary_of(*[""] * 50, *["refused"] * 10, *[""] * 50, ended=2.2).probes
    (outage,) = probe.outages
    assert (round(outage.began - BEGAN, 6), round(outage.seconds, 6), outage.failed) == (1.0, 0.2, 10)
    assert probe.silence_began == pytest.approx(BEGAN + 49 * 0.02 + 0.004)
    assert probe.silence == pytest.approx(11 * 0.02)


def test_what_never_came_back_lasts_until_the_end() -> None:
    (probe,) = summary_of(*[""] * 50, *["refused"] * 50, ended=5.0).probes
    assert probe.outages[0].seconds == pytest.approx(4.0)
    assert probe.silence == pytest.approx(5.0 - 49 * 0.02 - 0.004)


def test_a_probe_that_was_never_answered() -> None:
    (probe,) = summary_of(*["refused"] * 5).probes
    assert (probe.median, probe.p99, probe.longest, probe.silence) == (None, None, None, 10.0)


def test_a_probe_that_sent_nothing_is_a_problem() -> None:
    assert summary_of().problems == ("probe: not a single request was sent",)


@given(st.lists(st.sampled_from(["", "x", "y"]), max_size=300), st.floats(0.001, 2.0))
def test_outages_hold_every_failure_once(outcomes: list[str], interval: float) -> None:
    one = track("probe", outcomes, interval)
    (probe,) = summarize(seen(one, ended=len(outcomes) * interval + 1)).probes
    assert sum(outage.failed for outage in probe.outages) == probe.failed == len(one.failures)
    for failure in one.failures:
        assert sum(outage.began <= failure.began <= outage.ended for outage in probe.outages) == 1
    for earlier, later in zip(probe.outages, probe.outages[1:], strict=False):
        assert later.began - earlier.began > SAME_OUTAGE_SECONDS
        assert earlier.ended <= later.began
    assert bool(probe.failed) != summarize(seen(one)).unnoticed or not outcomes


@given(st.lists(st.floats(0, 10), min_size=1), st.floats(0.01, 1))
def test_percentiles_are_values_that_were_seen(values: list[float], share: float) -> None:
    value = percentile(sorted(values), share)
    assert value in values
    assert sum(one <= value for one in values) >= share * len(values) - 1e-9


def written(**fates: str) -> Track:
    """Writes 0, 1, 2 … each `good`, `failed`, `maybe` or `silent`."""
    one = Track("write", highest=len(fates) - 1)
    for serial, fate in enumerate(fates.values()):
        if fate == "good":
            one.serials.append(serial)
            one.began.append(BEGAN)
            one.seconds.append(0.1)
        elif fate != "silent":
            one.failures.append(Failure(serial, BEGAN, 0.1, "x", maybe=fate == "maybe"))
    return one


def test_the_ledger() -> None:
    book = ledger([written(a="good", b="failed", c="maybe", d="silent", e="good")])
    names = [object_name("write", serial) for serial in range(5)]
    assert (book.sent, book.acknowledged, book.failed) == (5, frozenset({names[0], names[4]}), frozenset({names[1]}))
    assert book.unknown == {names[2], names[3]}
    whole = book.compared([*names[2:], names[0], "kube-root-ca.crt"], "the API")
    assert (whole.good, whole.lost, whole.unexpected, whole.unknown_present) == (True, (), (), 2)
    short = book.compared(names[:2], "etcd on cp1")
    assert (short.good, short.lost, short.unexpected, short.unknown_present) == (False, (names[4],), (names[1],), 0)
    assert not book.unread("the API", "it does not answer").good


def test_lost_writes_are_named() -> None:
    book = ledger([written(a="good", b="good")])
    lossy = replace(seen(track("probe", [""])), ledgers=(book.compared([object_name("write", 0)], "etcd on cp2"),))
    assert summarize(lossy).problems == ("1 acknowledged writes are not in etcd on cp2, such as write-0000001",)
    unread = replace(lossy, ledgers=(book.unread("the API", "gone"),))
    assert "could not be read back from the API: gone" in summarize(unread).problems[0]


@pytest.mark.parametrize(
    ("census", "problem"),
    [
        (((0.1, 2), (5.0, 1), (9.9, 2)), ""),
        (((0.1, 2), (5.0, 0), (9.9, 2)), "0 ready replicas; its budget is 1"),
        ((), "nobody could look"),
    ],
)
def test_the_budget(census: tuple[tuple[float, int], ...], problem: str) -> None:
    found = summarize(seen(track("probe", [""]), census=census, wanted=1))
    assert bool(found.problems) == bool(problem)
    assert problem in "".join(found.problems)
    assert bool(found.remarks) == bool(census)  # there were seconds in which nobody looked


def test_a_measurement_that_is_not_whole_proves_nothing() -> None:
    found = summarize(replace(seen(track("probe", [""])), account=Account(problem="it died")))
    assert not found.unnoticed
    late = summarize(replace(seen(track("probe", [""])), account=Account(late=2.0, unsent=100)))
    assert late.remarks == ("100 requests were never sent: this machine held the prober up for 2.0 s",)


HOSTILE = "<script>alert('x')</script>"


def eventful() -> Report:
    outcomes = [""] * 100 + [HOSTILE] * 5 + [""] * 100
    spans = (
        Span("kube-apiserver", "cp1", BEGAN + 1, BEGAN + 3),
        Span("kubelet", "cp1", BEGAN + 2, BEGAN + 4, error=HOSTILE),
        Span("kubelet", "w1", BEGAN + 3, BEGAN + 3.001),
    )
    one = seen(track("api-new", outcomes), track("application", [""] * 205), census=((0.5, 2), (5, 0)), wanted=1)
    verdict = ledger([written(a="good")]).compared([], "the API")
    whole = replace(one, spans=spans, marks=(Mark(BEGAN + 2, "power off"),), ledgers=(verdict,))
    return Report.of(f"Upgrade of {HOSTILE}", (("Kubernetes", "1.36.4 → 1.37.1"),), whole)


def test_json_has_every_failure_and_what_went_on() -> None:
    value = json.loads(as_json(eventful()))
    assert value["unnoticed"] is False
    assert value["started"] == "2026-11-21T06:00:00+00:00"
    assert [one["at"] for one in value["probes"][0]["failures"]] == [2.0, 2.02, 2.04, 2.06, 2.08]
    assert value["probes"][0]["failures"][0]["during"] == ["cp1: kube-apiserver", "cp1: kubelet"]
    assert value["probes"][0]["outages"] == [{"began": 2.0, "seconds": 0.1, "failed": 5}]
    assert value["ledgers"][0]["lost"] == ["write-0000000"]
    assert [(one["began"], one["ended"]) for one in value["phases"]] == [(1.0, 3.0), (2.0, 4.0), (3.0, 3.001)]


def shown(report: Report) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(terminal(report))
    return console.export_text()


def test_a_terminal_shows_the_verdict_and_reasons() -> None:
    said = shown(eventful())
    for words in (
        "5 of 410 requests failed",
        "1 acknowledged writes are not in the API",
        HOSTILE,
        "(5 times)",
        "0.10 s",
    ):
        assert words in said
    lossy = replace(seen(track("api-new", [""])), account=Account(problem="it died"))
    assert "but the measurement is not whole: it died" in shown(Report.of("Died", (), lossy))
    good = Report.of("Nothing", (), seen(track("api-new", [""] * 10)))
    assert "unnoticed: 10 requests in 10 s, none failed" in shown(good)


def test_the_page_is_whole_and_believes_nobody() -> None:
    page = html(eventful())
    assert parsed(page).seen.count("script") == 1
    text = page.decode()
    assert "&lt;script&gt;" in text
    for words in (
        "1.36.4 → 1.37.1",
        "power off",
        "kube-apiserver",
        "2.060 s",
        "cp1: kubelet",
        "prefers-color-scheme: dark",
    ):
        assert words in text
    for outside in ("http://", "https://", "src=", "@import", "url("):
        assert outside not in text


def test_a_page_without_anything_in_it() -> None:
    parsed(html(Report.of("Nothing", (), replace(seen(track("api-new", [])), ended=BEGAN))))


def test_ten_minutes_at_full_rate_are_a_small_page() -> None:
    """150,000 samples, and 60 s without a single answer."""
    count = 30_000
    tracks = []
    for name in ("api-new", "api-kept", "write-new", "write-kept", "application"):
        one = Track(name, highest=count - 1)
        one.began = array("d", (BEGAN + n * 0.02 for n in range(count)))
        one.seconds = array("d", (0.002 + (n * 7919 % 997) / 1e5 for n in range(count)))
        one.serials = array("I", range(count))
        one.failures = [Failure(n, BEGAN + 300 + n * 0.02, 5.0, "no answer", True) for n in range(3000)]
        tracks.append(one)
    spans = tuple(Span(f"phase-{n % 12}", f"host{n // 12}", BEGAN + n * 5, BEGAN + n * 5 + 4) for n in range(120))
    report = Report.of("Long", (), replace(seen(*tracks, ended=600.0), spans=spans))
    before = time.process_time()
    page = html(report)
    assert time.process_time() - before < 10
    parsed(page)
    assert len(page) < 600_000
    assert "and 14600 more" in page.decode()
