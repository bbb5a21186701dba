"""Which module has which command."""

import importlib

import pytest
import typer

from kbootstrap.cli.main import MODULES, build_app


@pytest.mark.parametrize("module", MODULES)
def test_a_module_registers_the_commands_that_it_is_listed_with(module: str) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    importlib.import_module(f"kbootstrap.cli.{module}").register(app)
    assert _commands(app) == set(MODULES[module])


@pytest.mark.parametrize("wanted", ["", "no-such-command", "--help"])
def test_all_commands_are_there_unless_one_is_wanted(wanted: str) -> None:
    assert _commands(build_app(wanted)) == {name for names in MODULES.values() for name in names}


def test_a_wanted_command_brings_its_module_alone() -> None:
    assert _commands(build_app("unlock")) == {"history", "unlock"}


def _commands(app: typer.Typer) -> set[str]:
    group = typer.main.get_command(app)
    return set(group.list_commands(typer.Context(group)))  # type: ignore[attr-defined]
