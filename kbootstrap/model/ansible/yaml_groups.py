"""Ansible's YAML inventories: groups with hosts, vars and children, one inside the other."""

from kbootstrap.model.ansible.groups import ALL, Group, Groups, UnreadableInventory, Variables
from kbootstrap.model.ansible.ini import expand
from kbootstrap.model.document import Document

_KEYS = ("hosts", "vars", "children")

_Place = tuple[str, ...]


def parse_yaml(document: Document) -> Groups:
    """The groups of a YAML inventory; raises UnreadableInventory."""
    groups: Groups = {ALL: Group()}
    for name, body in document.value.items():
        _group(name, body, (name,), groups, document)
    return groups


def _group(name: str, body: object, place: _Place, groups: Groups, document: Document) -> None:
    group = groups.setdefault(name, Group())
    parts = _mapping(body, place, document)
    for key in parts:
        if key not in _KEYS:
            raise _unreadable((*place, key), "a group has hosts, vars and children", document)
    group.variables |= _mapping(parts.get("vars"), (*place, "vars"), document)
    for pattern, variables in _mapping(parts.get("hosts"), (*place, "hosts"), document).items():
        here = (*place, "hosts", pattern)
        try:
            names = list(expand(pattern))
        except ValueError as error:
            raise _unreadable(here, str(error), document) from None
        for host in names:
            group.hosts.setdefault(host, {}).update(_mapping(variables, here, document))
    for child, inner in _mapping(parts.get("children"), (*place, "children"), document).items():
        group.children.append(child)
        _group(child, inner, (*place, "children", child), groups, document)


def _mapping(value: object, place: _Place, document: Document) -> Variables:
    """A mapping, an empty one where nothing is written."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _unreadable(place, "expected a mapping (key: value)", document)
    return value


def _unreadable(place: _Place, message: str, document: Document) -> UnreadableInventory:
    return UnreadableInventory(document.problem(place, message))
