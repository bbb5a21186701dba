"""What people, CI systems and monitoring are told of drills."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from kbootstrap.drills.reports.junit import junit
from kbootstrap.drills.reports.metrics import metrics
from kbootstrap.drills.reports.page import html
from kbootstrap.drills.reports.terminal import terminal
from kbootstrap.drills.reports.words import duration, ledger_sentence
from kbootstrap.drills.result import DrillResult, Kind, Moment, Verdict
from tests.unit.drills.reports.made import FAULT, cut_short, leader, lossy, refused, result, suite
from tests.unit.probes.markup import parsed

HOSTILE = "<script>alert('x')</script>"
HERE = Path(__file__).parent


def shown(renderable: RenderableType) -> str:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(renderable, highlight=False)
    return console.export_text()


def hostile() -> DrillResult:
    """One whose every word is somebody else's."""
    made = result()
    moments = tuple(replace(moment, text=HOSTILE, host=HOSTILE) for moment in made.moments)
    measured = tuple(replace(one, detail=HOSTILE) for one in made.measured)
    return replace(
        made, title=HOSTILE, problems=(HOSTILE,), remarks=(HOSTILE,), notes=(HOSTILE,), hosts=(HOSTILE,),
        setting={HOSTILE: HOSTILE}, moments=moments, measured=measured,
    )  # fmt: skip


def test_a_terminal_shows_a_line_for_each_drill() -> None:
    said = shown(terminal(suite()))
    for words in (
        "✓ vip-power-off",
        "reads 1.40 s (3 s)",
        "writes 2.10 s (5 s)",
        "24.5 s",
        "requests no outage (none)",
        "another scheduler leads 16.2 s (20 s)",
        "- etcd-leader-kill: the cluster is degraded: cp3: etcd.service is stopped",
        "! partition: it was interrupted 4 s after the fault",
        "✗ vip-handover: reads: 3.40 s; 3 s are allowed",
        "2 passed, 2 failed, 1 refused, 1 cut short; 2 acknowledged writes are lost",
    ):
        assert words in said


def test_a_terminal_is_shown_nothing_as_markup() -> None:
    assert "[red]" in shown(terminal([replace(result(), problems=("[red]",), remarks=("[/]",), notes=("[/]",))]))


def test_what_is_nearly_always_the_same_is_shown_for_a_drill_alone() -> None:
    told = replace(result(), remarks=("mind this",), notes=("as ever",))
    assert "as ever" in shown(terminal([told]))
    assert "mind this" in shown(terminal([told, told]))
    assert "as ever" not in shown(terminal([told, told]))


def test_what_became_of_the_writes() -> None:
    assert ledger_sentence([refused()]) == ""
    assert re.fullmatch(r"no acknowledged write of [\d,]+ is lost", ledger_sentence([result(), refused()]))
    assert ledger_sentence([result(), lossy()]) == "2 acknowledged writes are lost"
    restored = ledger_sentence([replace(lossy(), excused=2)])
    assert restored.endswith("is lost, but 2 that were younger than the backup that was restored")
    assert ledger_sentence([replace(lossy(), excused=1)]) == "1 acknowledged writes are lost"
    seen = result().seen
    assert seen is not None
    unread = replace(result(), seen=replace(seen, ledgers=(replace(seen.ledgers[0], problem="gone"),)))
    assert ledger_sentence([unread]) == "whether acknowledged writes are lost is not known: the API: gone"


@pytest.mark.parametrize(("seconds", "words"), [(None, "-"), (0.0, "0.00 s"), (1.234, "1.23 s"), (71.28, "71.3 s")])
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_junit_can_be_read_back() -> None:
    root = ElementTree.fromstring(junit(suite()))
    (cases,) = root
    assert (cases.get("tests"), cases.get("failures"), cases.get("errors")) == ("6", "2", "2")
    by_name = {case.get("name"): case for case in cases}
    assert by_name["vip-power-off"].find("failure") is None
    assert "writes: 2.10 s (allowed: 5 s)" in (by_name["vip-power-off"].findtext("system-out") or "")
    failure = by_name["vip-handover"].find("failure")
    assert failure is not None
    assert failure.get("message") == "reads: 3.40 s; 3 s are allowed"
    for name in ("etcd-leader-kill", "partition"):
        assert by_name[name].find("error") is not None


@given(st.text(), st.sampled_from(Verdict))
def test_junit_holds_whatever_a_host_prints(text: str, verdict: Verdict) -> None:
    ElementTree.fromstring(junit([replace(refused(), problems=(text, text), title=text, verdict=verdict)]))


def test_metrics_are_what_they_were() -> None:
    older = result(reads=0.5, writes=0.5, day=-1)
    assert metrics([*suite(), older]) == (HERE / "metrics.prom").read_text()


@given(st.text())
def test_metrics_quote_names(name: str) -> None:
    lines = [line for line in metrics([replace(refused(), cluster=name)]).split("\n") if not line.startswith("#")]
    assert lines[-1] == ""
    label = re.compile(
        r'kbootstrap_drill_\w+\{cluster="((?:[^"\\\n]|\\["\\n])*)",drill="etcd-leader-kill"\} [\d.+eInf-]+'
    )
    assert all(label.fullmatch(line) for line in lines[:-1])


@pytest.mark.parametrize("results", [suite(), [result()], [refused()], [cut_short()], [hostile(), leader()]])
def test_the_page_is_whole_and_believes_nobody(results: Sequence[DrillResult]) -> None:
    page = html(results)
    assert parsed(page).seen.count("script") == 1
    text = page.decode()
    for outside in ("http://", "https://", "src=", "@import", "url(", "<link"):
        assert outside not in text


def test_the_page_says_what_happened() -> None:
    text = html(suite()).decode()
    for words in (
        "Failover drills · demo",
        "2 passed, 2 failed, 1 refused, 1 cut short; 2 acknowledged writes are lost",
        "198.18.0.100 from cp1 to cp2",
        "+1.01 s",
        "vip moved (cp2)",
        "steady again",
        "etcd on cp2",
        "lost: write-kept-0000000, write-kept-0000001",
        "12 ms",
        "keepalived",
        "198.18.0.100:6443: connection refused",
        "the cluster is degraded: cp3: etcd.service is stopped",
    ):
        assert words in text, words


def test_the_page_shows_the_moments_around_the_fault_closely() -> None:
    text = html([result()]).decode()
    assert text.count('<svg class="line"') == 2
    close, whole = re.findall(r'data-began="([\d.-]+)" data-seconds="([\d.]+)"', text)
    assert (float(close[0]), float(close[1])) == (-2.0, 10.0)
    assert (float(whole[0]), float(whole[1])) == (-12.0, 40.0)
    assert "−1 s</text>" in text  # noqa: RUF001 - a minus sign


def test_what_several_hosts_tell_is_one_line() -> None:
    moment = Moment(FAULT + 0.7, Kind.LEADER, "etcd follows cp2 (term 5)", "cp2")
    told = (moment, replace(moment, at=FAULT + 0.71, host="cp3"), replace(moment, text="kube-scheduler leads here"))
    text = html([replace(result(), moments=(*result().moments, *told))]).decode()
    for words in (">etcd follows cp2 (term 5)</text>", ">kube-scheduler leads here (cp2)</text>"):
        assert text.count(words) == 2  # closely, and of the whole drill
    later = replace(moment, at=FAULT + 20.0)
    text = html([replace(result(), moments=(*result().moments, *told, later))]).decode()
    assert text.count(">etcd follows cp2 (term 5) (cp2)</text>") == 1


def test_settings_that_differ_are_shown_with_their_drill() -> None:
    other = replace(leader(), setting={**leader().setting, "VRRP interval": "1 s"})
    text = html([result(), other]).decode()
    assert text.count("1.36.4") == 1
    assert text.count("Only in this drill") == 1


def test_a_page_is_small() -> None:
    assert len(html([result()])) < 200_000


def test_json_is_for_machines() -> None:
    from kbootstrap.drills.value import as_json

    first, *_, cut = json.loads(as_json([result(), cut_short()]))
    assert (first["verdict"], first["outage"], first["recovery"]) == ("passed", 2.1, 24.5)
    assert first["moments"][2] == {"at": 12.0, "kind": "fault", "text": "power off", "host": "cp1"}
    assert first["probes"][0]["outages"] == [{"began": 12.0, "seconds": 1.4, "failed": 70}]
    assert (cut["outage"], cut["recovery"]) == (None, None)
