"""Options that commands share are options like any others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from kbootstrap.cli.bundle import unbundled


@dataclass(frozen=True, slots=True)
class Asked:
    """What two commands share."""

    file: Annotated[Path, typer.Option("--file", help="Where it is.")] = Path("here")
    loud: Annotated[bool, typer.Option("--loud")] = False


def say(asked: Asked, words: Annotated[list[str], typer.Argument()]) -> None:
    """Says words."""
    typer.echo(f"{asked} {words}")


def sing(asked: Asked, times: Annotated[int, typer.Option("--times")] = 1) -> None:
    """Sings."""
    typer.echo(f"{asked} {times}")


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(unbundled(say))
    made.command()(unbundled(sing))
    return made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["say", "a", "b"], f"{Asked()} ['a', 'b']"),
        (["say", "a", "--loud", "--file", "there"], f"{Asked(Path('there'), loud=True)} ['a']"),
        (["sing"], f"{Asked()} 1"),
        (["sing", "--times", "2", "--loud"], f"{Asked(loud=True)} 2"),
    ],
)
def test_the_command_gets_them_as_one_value(app: typer.Typer, words: list[str], said: str) -> None:
    assert CliRunner().invoke(app, words).output.strip() == said


def test_each_command_names_them(app: typer.Typer) -> None:
    for command, title in (("say", "Says words."), ("sing", "Sings.")):
        told = CliRunner().invoke(app, [command, "--help"]).output
        assert all(word in told for word in (title, "--file", "Where it is.", "--loud")), told
        assert "--asked" not in told


def test_the_function_itself_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    sing(Asked(loud=True), times=3)
    assert capsys.readouterr().out.strip() == f"{Asked(loud=True)} 3"
