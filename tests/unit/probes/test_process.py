"""The prober as a process: what it sends, what it writes down, and how it ends, whatever happens to whom."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kbootstrap.errors import CommandFailed
from kbootstrap.events import Note, PhaseFinished, PhaseStarted
from kbootstrap.probes.ledger import ledger
from kbootstrap.probes.process import COMMAND, probing
from kbootstrap.probes.recording import Recording
from kbootstrap.probes.samples import Samples
from kbootstrap.probes.spec import Census, Probe, Spec
from kbootstrap.probes.summary import summarize
from tests.unit.probes.server import OK, Asked, Reaction, Server, answer, serving

PODS = json.dumps(
    {
        "items": [
            {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": status}]}}
            for metadata, status in (({}, "True"), ({}, "False"), ({"deletionTimestamp": "now"}, "True"))
        ]
    }
).encode()


def spec(server: Server, rate: float = 40) -> Spec:
    target = server.target
    return Spec(
        samples="",
        credentials=server.credentials,
        probes=(
            Probe("new", (target,), "/new", rate=rate),
            Probe("kept", (target,), "/kept", kept=2, rate=rate),
            Probe("write", (target,), "/write", body='{"name": "{name}"}', rate=rate),
        ),
        census=Census(target, "/pods", 0.1),
        patience=10.0,
    )


def recorded(spec: Spec, seconds: float) -> Recording:
    recording = Recording(tuple(probe.name for probe in spec.probes), replicas_wanted=1)
    with probing(spec, recording):
        time.sleep(seconds)
    return recording


def react(asked: Asked) -> Reaction:
    return Reaction(answer(body=PODS)) if asked.path == "/pods" else OK


def test_every_request_is_written_down(tmp_path: Path) -> None:
    with serving(tmp_path, react) as server:
        recording = recorded(spec(server), 1.0)
    samples, account = recording.samples(), recording.account
    for track in samples.tracks:
        asked = [one for one in server.asked if one.path == f"/{track.name}"]
        assert len(asked) == track.requests == track.highest + 1
        assert track.requests + account.unsent >= 20
        assert not track.failures
    connections = {path: {one.connection for one in server.asked if one.path == path} for path in ("/kept", "/new")}
    # Two, and one more for each answer that was late.
    assert len(connections["/kept"]) < len(connections["/new"]) == samples.tracks[0].requests
    assert {json.loads(one.body)["name"] for one in server.asked if one.path == "/write"} == ledger(
        samples.tracks[2:]
    ).acknowledged
    assert {count for _, count in samples.census} == {1}
    assert account.problem == ""
    assert 0 < account.cpu < 1
    assert summarize(recording.observation()).unnoticed


def test_failures_are_seen_while_it_runs(tmp_path: Path) -> None:
    def broken(asked: Asked) -> Reaction:
        return Reaction(answer("500 Oops", b"")) if asked.path == "/new" else react(asked)

    with serving(tmp_path, broken) as server:
        wanted = spec(server)
        recording = Recording(tuple(probe.name for probe in wanted.probes))
        with probing(wanted, recording):
            deadline = time.monotonic() + 10
            while not recording.samples().tracks[0].failures and time.monotonic() < deadline:
                time.sleep(0.1)
            early = recording.samples()
    assert {failure.reason for failure in early.tracks[0].failures} == {"status 500"}
    assert not recording.samples().tracks[1].failures
    assert not summarize(recording.observation()).unnoticed


def test_the_last_requests_are_waited_for(tmp_path: Path) -> None:
    with serving(tmp_path, lambda asked: Reaction(answer(), after=0.4)) as server:
        recording = recorded(replace(spec(server, 10), census=None), 0.3)
    new = recording.samples().tracks[0]
    assert new.requests > 0
    assert not new.failures
    assert min(new.seconds) >= 0.4
    # The wait is no silence of the cluster's.
    assert summarize(recording.observation()).seconds < max(new.began) + max(new.seconds) - recording.began


def test_samples_are_kept_where_they_are_wanted(tmp_path: Path) -> None:
    recording = Recording(("new", "kept", "write"))
    with serving(tmp_path, react) as server, probing(spec(server), recording, tmp_path / "kept"):
        time.sleep(1.0)
    assert (tmp_path / "kept" / "samples.jsonl").read_text().startswith("[")
    assert "PRIVATE" not in (tmp_path / "kept" / "samples.jsonl").read_text()


def test_a_prober_that_dies_is_no_clean_measurement(tmp_path: Path) -> None:
    with serving(tmp_path, react) as server:
        recording = Recording(("new", "kept", "write"))
        with probing(spec(server), recording):
            time.sleep(0.2)
            (child,) = children(os.getpid())
            os.kill(child, signal.SIGKILL)
            time.sleep(0.2)
    assert recording.account.problem.startswith("the prober ended early (-9)")
    summary = summarize(recording.observation())
    assert not summary.unnoticed
    assert "not whole" in summary.problems[0]


def test_a_count_that_makes_no_sense_ends_it_loudly(tmp_path: Path) -> None:
    with serving(tmp_path) as server:  # whose list of pods is {}
        recording = recorded(spec(server), 2.0)
    assert "KeyError" in recording.account.problem


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        broken = replace(spec(server), credentials=replace(server.credentials, certificate="nothing"))
        with pytest.raises(CommandFailed, match="did not start") as caught, probing(broken, Recording(("new",))):
            pass
    assert "SSLError" in (caught.value.output or "")
    assert server.credentials.key not in (caught.value.output or "")


def test_it_ends_when_the_tool_is_killed(tmp_path: Path) -> None:
    """And shows no secret in its command line meanwhile."""
    with serving(tmp_path, react) as server:
        (tmp_path / "spec.json").write_text(spec(server).to_json())
        tool = subprocess.Popen([sys.executable, "-c", TOOL, str(tmp_path / "spec.json")], stdout=subprocess.PIPE)
        assert tool.stdout is not None
        assert tool.stdout.readline() == b"probing\n"
        (child,) = children(tool.pid)
        assert Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[:-1] == [word.encode() for word in COMMAND]
        tool.kill()
        tool.wait()
        tool.stdout.close()
        deadline = time.monotonic() + 10
        while alive(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not alive(child)


TOOL = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from kbootstrap.probes.process import probing
    from kbootstrap.probes.recording import Recording
    from kbootstrap.probes.spec import Spec
    with probing(Spec.from_json(Path(sys.argv[1]).read_text()), Recording(("new", "kept", "write"))):
        print("probing", flush=True)
        time.sleep(60)
    """
)


def children(process: int) -> list[int]:
    """The probers that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process and b"kbootstrap.probes" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def alive(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_phases_are_on_the_same_clock() -> None:
    recording = Recording(("new",))
    told: list[object] = []
    sink = recording.watch(told.append)
    before = time.monotonic()
    for event in (
        PhaseStarted("etcd", "cp1"),
        Note("x"),
        PhaseFinished("etcd", "cp1", 9.0, error="no"),
        PhaseStarted("k", "w1"),
    ):
        sink(event)
    recording.mark("fault")
    seen = recording.observation()
    assert len(told) == 4
    assert [(span.phase, span.host, span.error) for span in seen.spans] == [("etcd", "cp1", "no"), ("k", "w1", None)]
    assert all(before <= span.began <= span.ended <= time.monotonic() for span in seen.spans)
    assert [mark.text for mark in seen.marks] == ["fault"]
    assert seen.samples == Samples(seen.samples.tracks)
