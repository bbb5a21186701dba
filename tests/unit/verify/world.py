"""A healthy cluster as it was recorded (see record.py), which tests can break in one place."""

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kbootstrap.errors import KbootstrapError, Unreachable
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.load import load_inventory
from kbootstrap.transport.connection import COMMAND_TIMEOUT, Result
from kbootstrap.verify import kube
from kbootstrap.verify.api import ApiAccess
from kbootstrap.verify.kube import ApiRefused, Object
from kbootstrap.verify.report import Outcome, Verdict
from kbootstrap.verify.session import Job, run_session

FOLDER = Path(__file__).parent / "recorded"
ACCESS = ApiAccess(1, b"", b"", b"")


def recorded(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def recorded_cluster(**settings: object) -> Cluster:
    return load_inventory(FOLDER / "inventory.yml", environ={}, local=False)


@dataclass(frozen=True)
class Answer:
    """What a command that matches `pattern` gives instead of what was recorded."""

    pattern: str
    stdout: str = ""
    exit_code: int = 0
    stderr: str = ""
    lost: bool = False


@dataclass
class RecordedHost:
    """A Remote that answers as recorded, but for what is broken. Whatever was not recorded is a test's mistake."""

    name: str
    answers: Mapping[str, Sequence[Any]]
    broken: Sequence[Answer] = ()
    asked: list[str] = field(default_factory=list)
    allowed: set[float] = field(default_factory=set)
    """Seconds that commands were given."""

    def run(self, command: str, *, timeout: float = COMMAND_TIMEOUT) -> Result:
        self.asked.append(command)
        self.allowed.add(timeout)
        for answer in self.broken:
            if re.search(answer.pattern, command):
                if answer.lost:
                    raise Unreachable("the connection was lost", host=self.name)
                return self._result(command, answer.exit_code, answer.stdout, answer.stderr)
        assert command in self.answers, f"not recorded on {self.name}: {command}"
        return self._result(command, *self.answers[command])

    def run_script(self, script: str, *, timeout: float = COMMAND_TIMEOUT) -> Result:
        return self.run(script, timeout=timeout)

    def _result(self, command: str, code: int, stdout: str, stderr: str) -> Result:
        return Result(self.name, command, code, stdout.encode(), stderr.encode(), 0.0)


def recorded_host(name: str, *broken: Answer) -> RecordedHost:
    return RecordedHost(name, recorded("hosts")[name], broken)


@dataclass
class RecordedKube:
    """A Kube that has the recorded objects."""

    objects: dict[str, Object] = field(default_factory=lambda: recorded("api"))

    def get(self, path: str, **query: str) -> Object:
        if path not in self.objects:
            raise ApiRefused("GET", path, 404, json.dumps({"message": f"{path} not found"}))
        return self.objects[path]

    def items(self, path: str, **query: str) -> list[Object]:
        found: list[Object] = self.get(path)["items"]
        return found


def recorded_kube() -> RecordedKube:
    objects = copy.deepcopy(recorded("api"))
    now = datetime.now(UTC).isoformat()
    for path, value in objects.items():
        if "/leases/" in path:
            value["spec"]["renewTime"] = now
    return RecordedKube(objects)


def use_kube(monkeypatch: pytest.MonkeyPatch, api: object) -> None:
    """Makes the suites' `api` this one."""

    @contextmanager
    def opened(_access: ApiAccess, _scale: float = 1.0) -> Iterator[object]:
        yield api

    monkeypatch.setattr(kube, "opened", opened)


def outcomes_of(
    subject: str,
    suites: Sequence[str],
    hosts: Mapping[str, RecordedHost],
    *,
    cluster: Cluster | None = None,
    api: ApiAccess | str = ACCESS,
    minimum_days: int = 14,
    now: datetime | None = None,
    image_problems: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """Runs suites in this process."""
    told: list[Outcome] = []
    job = Job(
        subject=subject,
        suites=tuple(suites),
        cluster=cluster or recorded_cluster(),
        hosts=tuple(hosts),
        minimum_days=minimum_days,
        now=now or datetime.fromisoformat(recorded("meta")["recorded"]),
        api=api,
        image="agnhost:1",
        image_problems=image_problems or {},
    )
    run_session(job, hosts, told.append)
    return told


def failed_tests(outcomes: Sequence[Outcome]) -> set[str]:
    return {outcome.test for outcome in outcomes if outcome.verdict is Verdict.FAILED}


def functions(outcomes: Sequence[Outcome]) -> set[str]:
    """The tests, without what they were parametrized with, by suite."""
    return {f"{outcome.suite}.{outcome.test.partition('[')[0]}" for outcome in outcomes}


__all__ = [
    "ACCESS",
    "Answer",
    "KbootstrapError",
    "RecordedHost",
    "RecordedKube",
    "failed_tests",
    "functions",
    "outcomes_of",
    "recorded",
    "recorded_cluster",
    "recorded_host",
    "recorded_kube",
    "use_kube",
]
