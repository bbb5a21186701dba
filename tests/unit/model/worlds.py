"""Inventories for tests, and what is wrong with them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kbootstrap.errors import InvalidInput, Problem
from kbootstrap.events import Note
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.load import load_inventory

KNOWN = ("1.35", "1.36")
HEAD = "apiVersion: kbootstrap/v1\ncluster: {name: demo, kubernetes: 1.36.4, endpoint: {vip: 198.18.0.100}}\n"
HOSTS = """\
hosts:
  cp1: {address: 198.18.0.11, roles: [control-plane]}
  cp2: {address: 198.18.0.12, roles: [control-plane]}
  cp3: {address: 198.18.0.13, roles: [control-plane]}
  w1: {address: 198.18.0.21, roles: [worker]}
  w2: {address: 198.18.0.22, roles: [worker]}
"""
GOOD = HEAD + HOSTS


class Desk:
    """A folder with an inventory, and somebody who reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "inventory.yml"
        self.environ: Mapping[str, str] = {"HOME": str(folder / "home")}

    def load(self, text: str, *, known: Sequence[str] | None = KNOWN, local: bool = True) -> Cluster:
        self.file.write_text(text, encoding="utf-8")
        self.notes: list[Note] = []
        return load_inventory(self.file, environ=self.environ, known=known, local=local, emit=self._note)

    def _note(self, event: object) -> None:
        assert isinstance(event, Note)
        self.notes.append(event)

    def problems(self, text: str, *, local: bool = True) -> list[Problem]:
        """What is wrong with an inventory that must not be accepted."""
        try:
            self.load(text, local=local)
        except InvalidInput as error:
            assert error.problems
            return list(error.problems)
        raise AssertionError("this inventory must be refused")

    def problem(self, text: str, *, local: bool = True) -> Problem:
        """The only thing that is wrong with an inventory."""
        found = self.problems(text, local=local)
        assert len(found) == 1, found
        return found[0]

    def warning(self, text: str) -> str:
        """The only thing that is unwise about an inventory."""
        self.load(text)
        assert len(self.notes) == 1, self.notes
        assert self.notes[0].level == "warning"
        return self.notes[0].text
