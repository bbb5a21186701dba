"""Ansible's INI inventories: sections of hosts, of variables and of groups in groups."""

import re
import shlex
from collections.abc import Iterator
from itertools import product

from kbootstrap.errors import Problem
from kbootstrap.model.ansible.groups import ALL, UNGROUPED, Group, Groups, UnreadableInventory, Variables

MOST_HOSTS = 10_000
"""What a file's ranges may stand for."""

_SECTION = re.compile(r"\[([^:\]]+)(?::(hosts|vars|children))?\]\s*(?:[#;].*)?")
_RANGE = re.compile(r"\[(\w+):(\w+)(?::(\d+))?\]")
_PORT = re.compile(r"([^:\[\]]+|.*\]):(\d+)")


def parse_ini(text: str, file: str) -> Groups:
    """The groups of an INI inventory; raises UnreadableInventory."""
    groups: Groups = {ALL: Group()}
    section, kind = UNGROUPED, "hosts"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        header = _SECTION.fullmatch(line)
        if header:
            section, kind = header[1].strip(), header[2] or "hosts"
            groups.setdefault(section, Group())
            continue
        try:
            _take(line, kind, groups.setdefault(section, Group()), groups)
        except ValueError as error:
            raise UnreadableInventory(Problem(str(error), file, number, 1)) from None
    return groups


def _take(line: str, kind: str, group: Group, groups: Groups) -> None:
    if kind == "vars":
        key, equals, value = line.partition("=")
        if not equals:
            raise ValueError("expected variable=value")
        group.variables[key.strip()] = _value(value.strip())
    elif kind == "children":
        name = _words(line)[0]
        group.children.append(name)
        groups.setdefault(name, Group())
    else:
        pattern, *assignments = _words(line)
        port = _PORT.fullmatch(pattern)
        variables = _variables(assignments)
        if port:
            pattern = port[1]
            variables.setdefault("ansible_port", port[2])
        for name in expand(pattern):
            group.hosts.setdefault(name, {}).update(variables)
            if sum(len(each.hosts) for each in groups.values()) > MOST_HOSTS:
                raise ValueError(f"more than {MOST_HOSTS} hosts")


def _words(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        raise ValueError("a quote is not closed") from None
    if not words:
        raise ValueError("expected a name")
    return words


def _variables(assignments: list[str]) -> Variables:
    variables: Variables = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ValueError("after a host's name, expected variable=value")
        variables[key] = value
    return variables


def _value(text: str) -> str:
    """A variable's text without the quotes around it."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def expand(pattern: str) -> Iterator[str]:
    """The names that a pattern such as `web[01:03]` stands for."""
    parts = _RANGE.split(pattern)
    if len(parts) == 1:
        if "[" in pattern or "]" in pattern:
            raise ValueError(f"{pattern!r}: expected a range such as [01:03] or [a:c]")
        yield pattern
        return
    texts = parts[::4]
    ranges = [_range(*parts[index : index + 3]) for index in range(1, len(parts), 4)]
    for choice in product(*ranges):
        yield "".join(text + chosen for text, chosen in zip(texts, (*choice, ""), strict=True))


def _range(first: str, last: str, step: str | None) -> list[str]:
    by = int(step or 1)
    if first.isdecimal() and last.isdecimal():
        numbers = range(int(first), int(last) + 1, by) if by else range(0)
        if not 0 < len(numbers) <= MOST_HOSTS:
            raise ValueError(f"[{first}:{last}] is no range")
        width = len(first) if first.startswith("0") else 0
        return [str(number).zfill(width) for number in numbers]
    letters = [chr(code) for code in range(ord(first[0]), ord(last[0]) + 1, by)] if by else []
    if len(first) != 1 or len(last) != 1 or not letters:
        raise ValueError(f"[{first}:{last}] is no range")
    return letters
