"""An inventory's file: read within bounds, and asked for the place of anything in it."""

import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kbootstrap.errors import InvalidInput, Problem
from kbootstrap.model.nodes import ListNode, Malformed, MapNode, Mark, Node, parse, plain_value

MAX_BYTES = 2 * 2**20
"""Size of a file: a thousand hosts with labels of their own take about 0.3 MiB."""

EXCERPT_WIDTH = 100
"""Characters of a line shown in an error."""

Location = Sequence[str | int]
"""The keys and indices that lead to a value, e.g. ("hosts", "cp1", "address")."""

_SECRET = re.compile(r"pass(word|phrase|wd)|_pass\b|secret|token|credential|private_key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Document:
    """The content of one YAML file and where each part of it stands. Its root is a mapping."""

    path: Path
    lines: tuple[str, ...]
    root: MapNode

    @property
    def value(self) -> dict[str, object]:
        """The content as dictionaries, lists and text."""
        return {key: plain_value(node) for key, (_, node) in self.root.entries.items()}

    def place(self, location: Location, *, of_key: bool = False) -> Mark:
        """Where `location` stands, or the nearest thing around it that exists.

        A single value is where it begins; a mapping or list where its key is, as is anything with `of_key`.
        """
        node: Node = self.root
        mark = Mark(1, 1)
        for step in location:
            if isinstance(node, MapNode) and step in node.entries:
                mark, node = node.entries[str(step)]
            elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                mark = node.mark
            else:
                break
        return mark if of_key or isinstance(node, MapNode | ListNode) else node.mark

    def problem(self, location: Location, message: str, hint: str | None = None, *, of_key: bool = False) -> Problem:
        """A problem with what is at `location`."""
        mark = self.place(location, of_key=of_key)
        text = f"{'.'.join(str(step) for step in location)}: {message}" if location else message
        problem = Problem(text, str(self.path), mark.line, mark.column, hint)
        return problem if is_secret(location) else with_excerpt(problem, self.lines)


def is_secret(location: Location) -> bool:
    """Whether what is there may be a secret that somebody put into the file by mistake."""
    return any(_SECRET.search(str(step)) for step in location)


def with_excerpt(problem: Problem, lines: Sequence[str]) -> Problem:
    """The problem with the line it is in, unless that line looks as if it held a secret."""
    if problem.line is None or not 1 <= problem.line <= len(lines) or _SECRET.search(lines[problem.line - 1]):
        return problem
    column = problem.column or 1
    line = "".join(char if char.isprintable() else " " for char in lines[problem.line - 1].rstrip())
    begin = max(0, min(column - EXCERPT_WIDTH // 2, len(line) - EXCERPT_WIDTH))
    excerpt = f"{line[begin : begin + EXCERPT_WIDTH]}\n{' ' * (column - 1 - begin)}^"
    return replace(problem, excerpt=excerpt)


def read_document(path: Path) -> Document:
    """The YAML file at `path`; raises InvalidInput when it cannot be read, is no YAML or holds no mapping."""
    return parse_document(read_text(path), path)


def parse_document(text: str, path: Path, *, any_tag: bool = False) -> Document:
    """The document in `text`, which is or will be at `path`; raises InvalidInput. `any_tag` ignores tags."""
    lines = tuple(text.split("\n"))
    try:
        root = parse(text, str(path), any_tag=any_tag)
    except Malformed as error:
        problems = [with_excerpt(problem, lines) for problem in error.problems]
        raise InvalidInput(f"{path} cannot be read", problems) from None
    if root is None:
        raise _unreadable(path, "the file is empty", "kbootstrap init writes an inventory to start from")
    if not isinstance(root, MapNode):
        place = Problem("it must hold `key: value` lines", str(path), root.mark.line, root.mark.column)
        raise InvalidInput(f"{path} cannot be read", [place])
    return Document(path, lines, root)


def read_text(path: Path) -> str:
    """The text of a user's file, at most MAX_BYTES of UTF-8; raises InvalidInput for anything else."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _unreadable(path, "it is a directory" if path.is_dir() else "it is no regular file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "name it with -i, or write one with kbootstrap init"
        raise _unreadable(path, "there is no such file", hint) from None
    except PermissionError:
        raise _unreadable(path, "permission denied", f"look at its mode and owner: ls -l {path}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _unreadable(path, f"{reason}") from None
    if len(raw) > MAX_BYTES:
        raise _unreadable(path, f"it is larger than {MAX_BYTES // 2**20} MiB")
    if b"\0" in raw:
        raise _unreadable(path, "it is a binary file (or UTF-16 text)", "inventories are text in UTF-8")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _unreadable(path, f"line {line} is not UTF-8", "save it as UTF-8") from None


def _unreadable(path: Path, reason: str, hint: str | None = None) -> InvalidInput:
    return InvalidInput(f"{path} cannot be read", [Problem(reason, str(path), hint=hint)], hint=hint)
