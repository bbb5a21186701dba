"""Reading an Ansible inventory's file, and writing what became of it."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from kbootstrap.errors import InvalidInput
from kbootstrap.model.ansible.convert import ROLE_GROUPS, NoRoles, convert
from kbootstrap.model.ansible.groups import Groups, UnreadableInventory
from kbootstrap.model.ansible.ini import parse_ini
from kbootstrap.model.ansible.yaml_groups import parse_yaml
from kbootstrap.model.document import parse_document, read_text, with_excerpt

_YAML_SUFFIXES = (".yml", ".yaml")
_VARIABLE_FOLDERS = ("group_vars", "host_vars")
_LONGEST_LINE = 10_000


@dataclass(frozen=True, slots=True)
class ImportedText:
    """An inventory's text, and what a person should know about how it came to be."""

    text: str
    notes: tuple[str, ...]


def import_ansible(path: Path, *, name: str, kubernetes: str) -> ImportedText:
    """The inventory for the hosts of an Ansible inventory (INI or YAML) at `path`; raises InvalidInput.

    `name` and `kubernetes` are the cluster's, unless the file says a version (`kube_version`).
    """
    try:
        imported = convert(_groups(path), name=name, kubernetes=kubernetes)
    except NoRoles:
        known = ", ".join(group for groups in ROLE_GROUPS.values() for group in groups[:1])
        hint = f"it needs groups such as {known}"
        raise InvalidInput(f"{path}: no host is in a group that says its role", hint=hint) from None
    notes = imported.notes
    for folder in _VARIABLE_FOLDERS:
        if (path.parent / folder).is_dir():
            notes.append(f"{path.parent / folder} was not read: only the inventory itself is imported")
    sections = (_section(key, part) for key, part in imported.value.items())
    return ImportedText(f"# Imported from {path.name}.\n{''.join(sections)}", tuple(notes))


def _groups(path: Path) -> Groups:
    text = read_text(path)
    try:
        if path.suffix in _YAML_SUFFIXES or _looks_like_yaml(text):
            return parse_yaml(parse_document(text, path, any_tag=True))
        return parse_ini(text, str(path))
    except UnreadableInventory as error:
        problem = with_excerpt(error.problem, text.splitlines())
        raise InvalidInput(f"{path} is no Ansible inventory", [problem]) from None


def _looks_like_yaml(text: str) -> bool:
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return first == "---" or first.endswith(":")


def _section(key: str, value: object) -> str:
    """A top-level key on one line; hosts on one line each."""
    if key != "hosts" or not isinstance(value, dict):
        return _line({key: value}, "")
    return "hosts:\n" + "".join(_line({name: entry}, "  ") for name, entry in value.items())


def _line(value: dict[str, object], indent: str) -> str:
    [(key, inner)] = value.items()
    flow = yaml.safe_dump(inner, default_flow_style=True, sort_keys=False, width=_LONGEST_LINE, allow_unicode=True)
    text = flow.removesuffix("...\n").strip()
    return f"{indent}{key}: {text}\n"
