"""`init`, `validate`, `schema`, `inventory import`, as a user types them."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from kbootstrap.cli.inventory import register
from kbootstrap.errors import InvalidInput
from kbootstrap.model.topologies import TOPOLOGIES
from tests.unit.model.worlds import GOOD

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    register(app)

    def invoke(*arguments: str) -> str:
        app(list(arguments), standalone_mode=False)
        return capsys.readouterr().out

    return invoke


@pytest.mark.parametrize("topology", list(TOPOLOGIES))
def test_what_init_writes_is_valid(run: Run, tmp_path: Path, topology: str) -> None:
    run("init", "--topology", topology)
    assert stat.S_IMODE((tmp_path / "inventory.yml").stat().st_mode) & ~0o644 == 0
    assert "is valid" in run("validate")


def test_init_takes_what_is_known(run: Run, tmp_path: Path) -> None:
    hosts = ("--control-plane", "10.0.0.1", "--control-plane", "10.0.0.2", "--control-plane", "10.0.0.3")
    run("init", "-i", "mine.yml", "-t", "ha", "--name", "prod", "--vip", "10.0.0.9", "--user", "admin", *hosts)
    value = json.loads(run("validate", "-i", "mine.yml", "--json"))
    assert (value["valid"], value["cluster"], value["endpoint"]["host"]) == (True, "prod", "10.0.0.9")
    assert [host["address"] for host in value["hosts"]] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert "user: admin" in (tmp_path / "mine.yml").read_text()


def test_init_writes_nothing_that_is_wrong(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        run("init", "--vip", "nonsense")
    assert "vip" in caught.value.problems[0].message
    assert not (tmp_path / "inventory.yml").exists()


def test_init_overwrites_only_by_force(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text("precious")
    with pytest.raises(InvalidInput, match="exists already"):
        run("init")
    assert path.read_text() == "precious"
    run("init", "--force")
    assert "apiVersion" in path.read_text()
    assert [entry.name for entry in tmp_path.iterdir()] == ["inventory.yml"]


def test_init_into_nowhere(run: Run) -> None:
    for arguments in ((), ("--force",)):
        with pytest.raises(InvalidInput, match="cannot be written"):
            run("init", "-i", "no/such/folder.yml", *arguments)


def test_unknown_topology(run: Run) -> None:
    with pytest.raises(InvalidInput) as caught:
        run("init", "-t", "ha-worker")
    assert caught.value.hint == "did you mean 'ha-workers'?"


def test_validate_refuses(run: Run, tmp_path: Path) -> None:
    (tmp_path / "inventory.yml").write_text(GOOD + "foo: 1\n")
    for arguments in ((), ("--json",)):
        with pytest.raises(InvalidInput) as caught:
            run("validate", *arguments)
        assert caught.value.exit_code == 3
        assert [problem.place for problem in caught.value.problems] == ["inventory.yml:9:1"]


def test_validate_warns(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inventory.yml").write_text(GOOD + "groups: {empty: {}}\n")
    [warning] = json.loads(run("validate", "--json"))["warnings"]
    assert "no hosts" in warning
    assert "is valid" in run("validate")


def test_validate_without_this_machines_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "inventory.yml").write_text(GOOD + "ssh: {identity_file: none}\n")
    with pytest.raises(InvalidInput):
        run("validate")
    assert "is valid" in run("validate", "--no-local")


def test_schema(run: Run) -> None:
    assert json.loads(run("schema"))["$schema"].endswith("2020-12/schema")
    assert run("schema", "--markdown").startswith("# Every key")


def test_import(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("[masters]\na ansible_host=10.0.0.1 foo=1\n")
    out = run("inventory", "import", "hosts.ini")
    assert "the variable foo is not taken over" in out
    assert "is valid" in run("validate")
    with pytest.raises(InvalidInput, match="exists already"):
        run("inventory", "import", "hosts.ini")
    value = json.loads(run("inventory", "import", "hosts.ini", "--force", "--json"))
    assert value == {"inventory": "inventory.yml", "notes": ["the variable foo is not taken over"]}


def test_import_of_nothing(run: Run) -> None:
    with pytest.raises(InvalidInput) as caught:
        run("inventory", "import", "none.ini")
    assert "no such file" in caught.value.problems[0].message
