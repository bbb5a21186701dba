"""Labs that are gone when their tests are, one cluster that several modules share, and what to see after a failure."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from shlex import quote
from typing import Any, Protocol

import pytest

from kbootstrap.errors import KbootstrapError
from kbootstrap.lab.spec import LabSpec, standard
from tests.e2e.bed import Bed, Outcome
from tests.e2e.observe import footprint

PREFIX = "e2e-"
"""How every lab of these tests is called."""

ORDER = (
    "test_lab",
    "test_half_made",
    # the shared cluster, until it is reset
    "test_up",
    "test_playbook",
    "test_lock",
    "test_verify",
    "test_ha",
    "test_drills",
    "test_drills_fail",
    "test_schedules",
    "test_upgrade",
    "test_drift",
    "test_reset",
    # clusters of their own
    "test_rehearsal",
    "test_restore",
    "test_access",
    "test_topologies",
    "test_load_balancers",
    "test_upgrade_tier",
    "test_drills_tier",
    "test_mixed_lab",
    "test_backup",
    "test_backup_members",
    "test_backup_load",
    "test_kill",
    "test_upgrade_path",
)
"""The modules in the order they run: what is quick to tell comes first."""

BEDS = pytest.StashKey[list[Bed]]()
NOTES = pytest.StashKey[list[str]]()

_WHAT_FAILED = """\
for u in $(systemctl list-units --failed --plain --no-legend | awk '{print $1}'); do
  echo "$u failed"; journalctl --no-pager --output=cat --unit=$u --lines=25
done
ls /usr/local/bin/kubectl >/dev/null 2>&1 || exit 0
timeout 10 kubectl get nodes,pods --all-namespaces --output=wide 2>&1 | grep -v ' Ready .*v1\\|1/1 .*Running'
ready='{range .items[*]}{.metadata.name} {.status.conditions[-1:]}{"\\n"}{end}'
timeout 10 kubectl get nodes --output=jsonpath="$ready" | grep -v '"status":"True"'
journalctl --no-pager --unit=kubelet --lines=300 | grep 'kubelet\\[[0-9]*\\]: [EW]' | cut -c1-300 | tail -n 8"""
"""Shell that shows what does not work on a host, and in the cluster from there."""


class BedFactory(Protocol):
    """Makes a bed; `settings` are laid over its inventory, `environment` is what the command line sees."""

    def __call__(self, spec: LabSpec, settings: dict[str, Any] | None = None, **environment: str) -> Bed: ...


class Shared:
    """The cluster that several modules use: three control planes, two workers. Made when first asked for."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.bare_plan: Outcome | None = None
        self.saved_plan = bed.folder / "first.plan"
        self.first_up: Outcome | None = None

    def make(self) -> None:
        """From bare hosts, by way of a saved plan."""
        if self.first_up is None:
            self.bed.boot()
            self.bare_plan = self.bed.run("plan", "--out", str(self.saved_plan))
            self.first_up = self.bed.run("up", "--plan", str(self.saved_plan))
            self.first_up.expect()
        if self.first_up.code != 0:
            pytest.skip("the shared cluster has not come up")

    def remove(self) -> None:
        """Its hosts with it; who asks for it again gets a new one."""
        self.bed.lab.down()
        self.first_up = None


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BEDS] = []
    config.stash[NOTES] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)
            item.add_marker(pytest.mark.skipif(os.geteuid() != 0, reason="a lab needs root"))
    rank = {name: number for number, name in enumerate(ORDER)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(ORDER)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Where the time of every `up` went."""
    for note in config.stash[NOTES]:
        terminalreporter.write_line(note)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.failed and report.when != "teardown":
        for bed in item.config.stash[BEDS]:
            report.sections.append((f"hosts of {bed.spec.name}", _what_failed(bed)))
    return report  # type: ignore[return-value]


def _what_failed(bed: Bed) -> str:
    lines = []
    with suppress(KbootstrapError):
        for host in bed.lab.status():
            said = (
                bed.ssh(host.name, f"sudo -n sh -c {quote(_WHAT_FAILED)}", check=False)
                if host.ssh
                else "off, or does not answer"
            )
            lines.append(f"--- {host.name}\n{said}")
    return "\n".join(lines)


@pytest.fixture(scope="session", autouse=True)
def _nothing_stays_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Of any lab that was made."""
    yield
    left = [line for bed in request.config.stash[BEDS] for line in footprint(bed.spec.name)]
    assert not left, "\n".join(left)


@pytest.fixture(scope="session")
def new_bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BedFactory:
    """Describes a bed; no host is made yet. What was there under its name is removed."""
    known = request.config.stash[BEDS]

    def describe(spec: LabSpec, settings: dict[str, Any] | None = None, **environment: str) -> Bed:
        folder = tmp_path_factory.mktemp(spec.name)
        bed = Bed(spec, folder, settings or {}, environment, note=_noting(request.config))
        bed.lab.down()
        known[:] = [*(other for other in known if other.spec.name != spec.name), bed]
        return bed

    return describe


def _noting(config: pytest.Config) -> Callable[[str], None]:
    def note(text: str) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[2].rpartition(" ")[0]
        config.stash[NOTES].append(f"{test}: {text}")

    return note


@pytest.fixture(scope="module")
def beds(new_bed: BedFactory) -> Iterator[BedFactory]:
    """Beds of a module's own, whose hosts have booted."""
    made: list[Bed] = []

    def make(spec: LabSpec, settings: dict[str, Any] | None = None, **environment: str) -> Bed:
        made.append(new_bed(spec, settings, **environment))
        made[-1].boot()
        return made[-1]

    yield make
    for bed in made:
        bed.lab.down()


@pytest.fixture(scope="session")
def shared_cluster(new_bed: BedFactory) -> Iterator[Shared]:
    cluster = Shared(new_bed(standard(name=f"{PREFIX}ha", subnet=IPv4Network("198.18.40.0/24"))))
    yield cluster
    cluster.remove()


@pytest.fixture
def shared(shared_cluster: Shared) -> Bed:
    """The bed of the shared cluster, which is up."""
    shared_cluster.make()
    return shared_cluster.bed


def wait_until(reached: Callable[[], bool], *, seconds: float, what: str) -> float:
    """How long it took until something was reached; the test fails after so many seconds."""
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return time.monotonic() - began
