"""`upgrade` and `reboot` on the command line: what is refused, what is asked for, and what is written at the end."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kbootstrap.cli.main import run
from kbootstrap.engine.plan import Plan
from kbootstrap.errors import CheckFailed
from kbootstrap.events import Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.skew import Installed
from kbootstrap.model.versions import Version
from kbootstrap.workflows import reboot as reboots
from kbootstrap.workflows import upgrade as upgrades
from kbootstrap.workflows.playbooks import builtin
from kbootstrap.workflows.reboot import Reboots
from kbootstrap.workflows.releases import Route, stages
from kbootstrap.workflows.upgrade import Order, Rollout, Upgraded
from tests.unit.model.worlds import GOOD
from tests.unit.workflows.rollouts import everywhere, rollout, site, tasks_of

OLD, NEW = Version(1, 36, 4), Version(1, 37, 1)


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "inventory.yml"
    file.write_text(GOOD)
    return file


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may get as far as the hosts."""

    def reach(*_arguments: object, **_more: object) -> None:
        raise AssertionError("the hosts were asked")

    monkeypatch.setattr(upgrades, "connected", reach)
    monkeypatch.setattr(reboots, "converge", reach)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["upgrade", "--to", "1.37"], "--to: '1.37' is no version: expected three numbers"),
        (["upgrade", "--to", "latest"], "--to: 'latest' is no version"),
        (["upgrade", "--to", ""], "--to: '' is no version"),
        (["upgrade", "--to", "1.37.1", "--back"], "say --to or --back, not both"),
        (["upgrade", "--to", "", "--back"], "say --to or --back, not both"),
        *(
            ([command, f"--batch={size}"], f"--batch: '{size}' is neither a number above 0 nor a percentage")
            for command in ("upgrade", "reboot")
            for size in ("0", "-1", "0%", "101%", "20 %", "%", "two", "1.5", "", "²", "9" * 5000)
        ),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str], said: str, inventory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "-i", str(inventory)]) == 3
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert said[:60] in " ".join(err.split())
    assert inventory.read_text() == GOOD


@pytest.mark.usefixtures("untouched")
def test_a_refusal_for_machines(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["upgrade", "--to", "latest", "-i", str(inventory), "--json"]) == 3
    assert "'latest' is no version" in json.dumps(json.loads(capsys.readouterr().out))


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("command", ["upgrade", "reboot"])
def test_an_inventory_that_is_not_there(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "-i", str(tmp_path / "none.yml")]) == 3
    assert "there is no such file" in capsys.readouterr().err


class Asked:
    """An upgrade that does nothing, and remembers what was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.orders: list[Order] = []
        self.fails = False
        cluster = site(3, 2)
        there: Installed = everywhere(cluster, OLD)
        book = builtin("upgrade")
        self.rollout = Rollout(
            Route(OLD, NEW),
            Plan(book, tasks_of(cluster, book, there, NEW)),
            tuple(stages(there, rollout(cluster, book, there, NEW), NEW)),
        )
        monkeypatch.setattr(upgrades, "upgrade", self.upgrade)
        monkeypatch.setattr(upgrades, "plan_upgrade", self.plan)

    def upgrade(self, _cluster: Cluster, order: Order, _emit: Sink) -> Upgraded:
        self.orders.append(order)
        failure = CheckFailed("node-ready was not reached within 120 s", host="w1") if self.fails else None
        return Upgraded("20261121-064233-ab12", self.rollout, None, failure)

    def plan(self, _cluster: Cluster, order: Order, _emit: Sink) -> Rollout:
        self.orders.append(order)
        return self.rollout


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        ([], Order()),
        (["--to", "1.37.1"], Order(target=NEW)),
        (["--to", "v1.37.1", "--batch", "2"], Order(target=NEW, batch=2)),
        (["--back", "--batch", "20%"], Order(back=True, batch="20%")),
        (["--no-drain", "--no-probes"], Order(drain=False, probes=False)),
        (["--accept-removed-apis"], Order(removed_apis=True)),
    ],
)
def test_what_is_asked_for(arguments: list[str], order: Order, asked: Asked, inventory: Path) -> None:
    assert run(["upgrade", "-i", str(inventory), "--no-verify", *arguments]) == 0
    assert asked.orders == [order]


def test_the_inventory_says_the_version_at_the_end(
    asked: Asked, inventory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["upgrade", "-i", str(inventory), "--no-verify", "--to", "1.37.1"]) == 0
    assert inventory.read_text() == GOOD.replace("1.36.4", "1.37.1")
    out = " ".join(capsys.readouterr().out.split())
    assert "runs Kubernetes 1.37.1" in out
    assert "now says kubernetes: 1.37.1" in out


def test_or_it_does_not_where_that_is_not_wanted(asked: Asked, inventory: Path) -> None:
    assert run(["upgrade", "-i", str(inventory), "--no-verify", "--keep-inventory"]) == 0
    assert inventory.read_text() == GOOD


def test_an_inventory_that_cannot_be_changed_does_not_make_an_upgrade_fail(
    asked: Asked, inventory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GOOD.replace("kubernetes: 1.36.4", "kubernetes: &version 1.36.4")
    inventory.write_text(text)
    assert run(["upgrade", "-i", str(inventory), "--no-verify"]) == 0
    assert inventory.read_text() == text
    assert "write kubernetes: 1.37.1 into it yourself" in capsys.readouterr().err


def test_after_a_failure_the_inventory_says_what_it_said(
    asked: Asked, inventory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked.fails = True
    assert run(["upgrade", "-i", str(inventory), "--no-verify"]) == 7
    assert inventory.read_text() == GOOD
    assert "node-ready was not reached" in capsys.readouterr().err


def test_a_plan_says_what_changes_where_and_what_the_skew_then_is(
    asked: Asked, inventory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["upgrade", "-i", str(inventory), "--plan"]) == 2
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "Kubernetes 1.36.4 -> 1.37.1"
    assert "apiservers cp1 -> cp2 -> cp3 3" in lines
    assert "apiservers cp1 1.36.4 1.37.1 1.36.4 1.36.4 1.36.4 1.36.4" in lines
    assert "workers w2 1.37.1 1.37.1 1.37.1 1.37.1 1.37.1" in lines
    assert lines[-1] == "19 changes on 5 hosts."
    assert inventory.read_text() == GOOD


def test_a_plan_for_machines(asked: Asked, inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["upgrade", "-i", str(inventory), "--plan", "--json"]) == 2
    value = json.loads(capsys.readouterr().out)
    assert (value["from"], value["to"]) == ("1.36.4", "1.37.1")
    assert [(stage["phase"], *stage["hosts"]) for stage in value["stages"]][:2] == [
        ("apiservers", "cp1"),
        ("apiservers", "cp2"),
    ]
    assert value["stages"][-1]["installed"]["w2"] == {"kubelet": "1.37.1", "kube-proxy": "1.37.1"}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], Reboots()),
        (["--only-needed", "--batch", "20%"], Reboots(only_needed=True, batch="20%")),
        (["-l", "worker", "-l", "cp1"], Reboots(limit=("worker", "cp1"))),
    ],
)
def test_which_hosts_are_booted(
    arguments: list[str], wanted: Reboots, inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Reboots] = []

    def booted(_cluster: Cluster, asked: Reboots, _emit: Callable[[object], None]) -> Plan:
        found.append(asked)
        return Plan(builtin("reboot"), ())

    monkeypatch.setattr(reboots, "reboot", booted)
    assert run(["reboot", "-i", str(inventory), *arguments]) == 0
    assert found == [wanted]
