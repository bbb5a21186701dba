"""`drill history`, `report` and `schedule` on the command line."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from kbootstrap.cli.drill_reports import Files, require_places
from kbootstrap.cli.main import run
from kbootstrap.drills.folder import drills_folder
from kbootstrap.drills.kept import keep
from kbootstrap.drills.schedule import host_of, suite_of
from kbootstrap.errors import CommandFailed, InvalidInput
from kbootstrap.model.cluster import Sudo
from kbootstrap.workflows.timers import RemoteSystemd
from tests.fakes import FakeConnection
from tests.unit.drills.reports.made import suite
from tests.unit.workflows.hosts import cluster

RUN = "20261121-100000-abcd"
ALLOWED = ("--yes-break-production", "demo")


@pytest.fixture
def drilled(inventory: str) -> str:
    """The inventory of a cluster whose drills this machine knows."""
    for result in suite():
        keep(result)
    return inventory


def test_history(drilled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drill", "history", "-i", drilled, "--json", "--faults-per-year", "4"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [one["drill"] for one in value["drills"]] == sorted({result.drill for result in suite()})
    assert value["together"]["mttf_seconds"] == pytest.approx(365.25 * 86_400 / (4 * 4))
    assert run(["drill", "history", "-i", drilled, "--drill", "vip-power-off"]) == 0
    said = capsys.readouterr().out
    assert "vip-power-off" in said
    assert "member-wipe" not in said


def test_no_history(inventory: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drill", "history", "-i", inventory]) == 0
    assert "No drills are kept here" in capsys.readouterr().out


def test_a_report_again(drilled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html, junit, metrics = tmp_path / "r.html", tmp_path / "j.xml", tmp_path / "m.prom"
    files = ["--report", str(html), "--junit", str(junit), "--metrics", str(metrics)]
    assert run(["drill", "report", RUN, "-i", drilled, *files]) == 0
    assert "2 passed, 2 failed" in capsys.readouterr().out
    assert "<svg" in html.read_text()
    assert len(ElementTree.parse(junit).findall(".//testcase")) == 6
    assert 'kbootstrap_drill_success{cluster="demo",drill="vip-power-off"} 1' in metrics.read_text()
    assert metrics.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_report_for_machines_is_one_line(drilled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drill", "report", "-i", drilled, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    value = json.loads(line)
    assert value["html"] == str(drills_folder("demo") / f"{RUN}.html")
    assert len(value["results"]) == 6


def test_a_report_of_nothing(inventory: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drill", "report", "-i", inventory]) == InvalidInput.exit_code
    assert "no drill of the run latest is kept here" in capsys.readouterr().err


def test_what_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    require_places(Files(tmp_path / "r.html", None, tmp_path / "m.prom"))
    with pytest.raises(InvalidInput, match="cannot be written"):
        require_places(Files(junit=tmp_path / "none" / "j.xml"))


def test_units_can_be_printed(inventory: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--every", "week", "--print", "units", "--metrics", "/var/lib/node/d.prom", "--on-failure", "page.service"]
    words += ["--identity", "/etc/kbootstrap/backups.key"]
    assert run(["drill", "schedule", "-i", inventory, *ALLOWED, *words]) == 0
    said = capsys.readouterr().out
    assert f'"drill" "suite" "--inventory" "{inventory}" "--yes-break-production" "demo" "--identity" "/etc/kb' in said
    assert '"--metrics" "/var/lib/node/d.prom"' in said
    assert "OnCalendar=Sun *-*-* 04:00:00" in said
    assert "Persistent=false" in said
    assert "OnFailure=kbootstrap-drill-demo-failed.service page.service" in said
    assert "KillSignal=SIGINT" in said


def test_a_cronjob_can_be_printed(inventory: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--cron", "30 5 * * 6", "--print", "cronjob", "--image", "registry.example/kbootstrap:1"]
    assert run(["drill", "schedule", "-i", inventory, *ALLOWED, *words]) == 0
    claim, job = yaml.safe_load_all(capsys.readouterr().out)
    spec = job["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("30 5 * * 6", "Forbid")
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"][:5] == ["kbootstrap", "drill", "suite", "--inventory", "/etc/kbootstrap/inventory.yml"]
    assert pod["volumes"][1]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--every", "week", "--off"], "say one of"),
        (["--every", "week", "--on-calendar", "Sat"], "say one of"),
        (["--print", "units"], "it has to be said when"),
        (["--print", "cronjob", "--every", "week"], "needs an image"),
        (["--print", "cronjob", "--image", "x"], "a CronJob's time is"),
        (["--every", "week", "--metrics", "here.prom"], "no absolute path"),
        (["--every", "week", "--identity", "backups.key"], "--identity: backups.key is no absolute path"),
        (["--every", "week", "--host", "cp1"], "is a host of the cluster"),
        (["--every", "week", "--host", "a b"], "is not [user@]host[:port]"),
        (["--every", "week", "--without", "nonsense"], "nonsense"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: list[str], said: str, inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["drill", "schedule", "-i", inventory, *ALLOWED, *words]) != 0
    assert said in capsys.readouterr().err


def test_a_cluster_that_users_need_is_not_hurt_by_a_timer_either(inventory: str) -> None:
    assert run(["drill", "schedule", "-i", inventory, "--every", "week", "--print", "units"]) == 5


def test_a_host_is_logged_in_to_as_the_others_are() -> None:
    host = host_of(cluster(), "ada@ops1:2222")
    assert (host.ssh_address, host.ssh.user, host.ssh.port, host.ssh.sudo) == ("ops1", "ada", 2222, Sudo.NOPASSWD)
    assert host_of(cluster(), "ops1").ssh == cluster().hosts[0].ssh


def test_a_host_that_could_not_drill_gets_no_timer() -> None:
    host = FakeConnection("ops1")
    host.expect("command -v kbootstrap", "/usr/local/bin/kbootstrap\n")
    host.expect("/usr/local/bin/kbootstrap validate --inventory '/srv/a b.yml'")
    host.expect("/usr/local/bin/kbootstrap validate --inventory '/srv/a b.yml'", exit_code=3, stderr="no such file")
    made = suite_of("demo", Path("/srv/a b.yml"), ("--without", "x"), RemoteSystemd(host))
    assert made.command == (
        "/usr/local/bin/kbootstrap", "drill", "suite", "--inventory", "/srv/a b.yml", "--without", "x",
    )  # fmt: skip
    with pytest.raises(CommandFailed, match="the inventory cannot be used on the host"):
        suite_of("demo", Path("/srv/a b.yml"), (), RemoteSystemd(host))
