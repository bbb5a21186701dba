"""One pytest session: the suites of one subject, from collection to outcomes."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify.api import ApiAccess
from kbootstrap.verify.backend import Log, Witness
from kbootstrap.verify.lend import Remote
from kbootstrap.verify.narrator import Narrator
from kbootstrap.verify.report import LIVE, Finding, Outcome, failed

SUITES = Path(__file__).parent / "suites"


@dataclass(frozen=True, slots=True)
class Job:
    """What a session is about; values only, so that it can be sent to another process."""

    subject: str
    suites: tuple[str, ...]
    """Below the folder of suites: `hosts/test_etcd.py`."""
    cluster: Cluster
    hosts: tuple[str, ...]
    """The hosts whose connections the session uses."""
    minimum_days: int
    """How long certificates must still be valid."""
    now: datetime
    """When that is."""
    api: ApiAccess | str = "it was not tried"
    """The way to the API, or why there is none."""
    image: str = ""
    """The reference of the image that live checks run."""
    image_problems: Mapping[str, str] = field(default_factory=dict)
    """Why the image could not be brought to a host, by host."""


JOB = pytest.StashKey[Job]()
REMOTES = pytest.StashKey[Mapping[str, Remote]]()


def run_session(job: Job, remotes: Mapping[str, Remote], tell: Callable[[Outcome], None]) -> None:
    """Runs the job's suites in this process and tells every outcome as soon as it is known."""
    log = Log()
    watched = {name: Witness(remote, log, remember=job.subject != LIVE) for name, remote in remotes.items()}
    code = pytest.main(_arguments(job), plugins=[_Context(job, watched), Narrator(job.subject, log, tell)])
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        tell(failed(job.subject, "session", "the suites can be run", Finding(f"pytest: {pytest.ExitCode(code).name}")))


def _arguments(job: Job) -> list[str]:
    """pytest as it comes: no configuration file and no installed plugin of the user's takes part."""
    unwanted = ("cacheprovider", "logging", "warnings", "faulthandler", "threadexception", "unraisableexception")
    return [
        *(f"-pno:{plugin}" for plugin in unwanted),
        "--disable-plugin-autoload",
        "--import-mode=importlib",
        "--capture=no",
        f"--config-file={os.devnull}",
        f"--rootdir={SUITES}",
        f"--confcutdir={SUITES}",
        *(str(SUITES / suite) for suite in job.suites),
    ]


@dataclass(frozen=True, slots=True)
class _Context:
    """Gives the suites' fixtures (see their conftest.py) the job and the connections."""

    job: Job
    remotes: Mapping[str, Remote]

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[JOB] = self.job
        config.stash[REMOTES] = self.remotes
