"""Sessions in processes: they see hosts only through this one, and end when they are told to."""

import multiprocessing
import time
from datetime import datetime
from threading import Thread

import pytest

from kbootstrap.errors import CommandFailed, Unreachable
from kbootstrap.verify import workers
from kbootstrap.verify.lend import Borrowed, lend
from kbootstrap.verify.report import Outcome, Verdict
from kbootstrap.verify.session import Job
from kbootstrap.verify.workers import Crew
from tests.fakes import FakeConnection
from tests.unit.verify.world import recorded, recorded_cluster, recorded_host

HOST = "cp1"


def job(*suites: str) -> Job:
    now = datetime.fromisoformat(recorded("meta")["recorded"])
    return Job(HOST, suites, recorded_cluster(), (HOST,), 14, now)


def run(crew: Crew, connection: object, *suites: str) -> list[Outcome]:
    told: list[Outcome] = []
    crew.run(job(*suites), {HOST: connection}, told.append)  # type: ignore[dict-item]
    return told


def test_a_session_runs_its_commands_on_the_connection_of_this_process() -> None:
    host = recorded_host(HOST)
    told = run(Crew(), host, "hosts/test_etcd.py")
    assert [(outcome.test, outcome.verdict) for outcome in told] == [
        ("test_healthy", Verdict.PASSED),
        ("test_clients_need_a_certificate", Verdict.PASSED),
    ]
    assert any("endpoint health" in command for command in host.asked)


def test_a_session_that_does_not_end_is_ended_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SESSION_SECONDS", 1.0)
    monkeypatch.setattr(workers, "ENDING_SECONDS", 1.0)

    class Slow(FakeConnection):
        def run(self, command: str, **_options: object) -> object:  # type: ignore[override]
            time.sleep(3)
            raise Unreachable("too late", host=HOST)

    told = run(Crew(), Slow(HOST), "hosts/test_etcd.py")
    assert told[-1].suite == "session"
    assert told[-1].finding is not None
    assert "did not end within 1 s" in told[-1].finding.message


def test_a_suite_that_does_not_exist_is_a_failure() -> None:
    told = run(Crew(), recorded_host(HOST), "hosts/test_nonsense.py")
    assert [outcome.verdict for outcome in told] == [Verdict.FAILED]


def test_an_interrupted_crew_starts_nothing_more() -> None:
    crew = Crew()
    crew.interrupt()
    assert run(crew, recorded_host(HOST), "hosts/test_etcd.py") == []


def test_errors_come_back_as_what_they_are() -> None:
    ours, theirs = multiprocessing.Pipe()
    connection = FakeConnection(HOST)
    connection.expect("true", "yes")
    connection.expect("lost", error=Unreachable("gone", host=HOST, hint="look"))
    connection.expect("slow", error=CommandFailed("did not end", host=HOST, command="slow"))
    Thread(target=lend, args=(connection, ours), daemon=True).start()
    borrowed = Borrowed(HOST, theirs)
    assert borrowed.run("true").text == "yes"
    with pytest.raises(Unreachable, match="gone") as lost:
        borrowed.run("lost")
    assert lost.value.hint == "look"
    with pytest.raises(CommandFailed, match="did not end"):
        borrowed.run_script("slow")
    theirs.close()


def test_without_the_process_that_holds_the_connection_there_is_none() -> None:
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    with pytest.raises(Unreachable, match="is gone"):
        Borrowed(HOST, theirs).run("true")
