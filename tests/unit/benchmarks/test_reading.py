"""Answers recorded once are good for every later reading, whose boundary is a new one."""

from dataclasses import dataclass

from benchmarks.reading import Exchange, _Echo, scripts
from kbootstrap.facts.fact import Single, read
from kbootstrap.transport.connection import Result


@dataclass(frozen=True, slots=True)
class Word(Single[str]):
    @property
    def command(self) -> str:
        return "echo word"

    def value(self, output: bytes) -> str:
        return output.decode().strip()


def test_a_recorded_answer_is_read_again() -> None:
    was = Exchange("( echo word )\nprintf 'x' old", Result("h", "", 0, b"word\n\x1e\nold\n", b"", 0))
    assert read(_Echo("h", iter([was])), [Word()])[Word()] == "word"  # type: ignore[arg-type]


def test_all_scripts_of_a_host_are_one() -> None:
    nothing = Result("h", "", 0, b"", b"", 0)
    assert scripts({"h": [Exchange("one", nothing), Exchange("two", nothing)]}) == {"h": "one\ntwo"}
