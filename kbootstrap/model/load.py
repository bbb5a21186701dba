"""Reading an inventory: from a path to the cluster it means, or to every problem that it has."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kbootstrap.errors import InvalidInput, Problem
from kbootstrap.events import Note, Sink, ignore
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.consistency import findings
from kbootstrap.model.document import Document, Location, read_document
from kbootstrap.model.finding import Finding
from kbootstrap.model.inventory import Inventory
from kbootstrap.model.local_checks import local_findings
from kbootstrap.model.mistakes import explain
from kbootstrap.model.resolve import Surroundings, resolve, route_jumps
from kbootstrap.model.versions import API_VERSION

_BY_NAME = ("hosts", "groups", "applications", "ingress_controllers")
_STAND_INS = {"apiVersion": API_VERSION, "cluster": {"name": "unknown", "kubernetes": "0.0.0"}}
"""Let the rest be checked when these are malformed."""


def load_inventory(
    path: Path,
    *,
    environ: Mapping[str, str] = os.environ,
    known: Collection[str] | None = None,
    local: bool = True,
    emit: Sink = ignore,
) -> Cluster:
    """The cluster that the inventory at `path` describes.

    `environ` says what `~` is and which variables are set; `known` are the minor releases of Kubernetes there are,
    such as `1.36` (None: any will do); `local` is whether the files and variables it names must exist on this
    machine. What is allowed but unwise goes to `emit`. Raises InvalidInput with every problem found.
    """
    return interpret(read_document(path), environ=environ, known=known, local=local, emit=emit)


def interpret(
    document: Document,
    *,
    environ: Mapping[str, str],
    known: Collection[str] | None,
    local: bool,
    emit: Sink,
) -> Cluster:
    """The same for a document that has been read."""
    path = document.path
    around = Surroundings(path.absolute().parent, Path(environ.get("HOME", "/")))
    reading = _read(document)
    problems = list(reading.problems)
    if reading.inventory is not None:
        cluster = resolve(reading.inventory, around)
        found = [*findings(reading.inventory, cluster, known=known, malformed=reading.malformed)]
        if local:
            found += local_findings(reading.inventory, cluster, around, environ)
        problems += _errors(found, document, emit)
        if not problems:
            return replace(route_jumps(cluster), inventory="\n".join(document.lines))
    problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
    raise InvalidInput(f"{path} is not a valid inventory", problems)


@dataclass(frozen=True, slots=True)
class _Reading:
    """An inventory as far as it is well-formed, and where it is not."""

    inventory: Inventory | None
    problems: Sequence[Problem] = ()
    malformed: frozenset[str] = frozenset()
    """Top-level keys that were not read, or (`_BY_NAME`) not with all their entries."""


def _read(document: Document) -> _Reading:
    value = document.value
    try:
        return _Reading(Inventory.model_validate(value))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        problems = explain(error, document)
    malformed = set()
    for detail in details:
        _drop(value, detail["loc"], only_itself=detail["type"] == "extra_forbidden")
        if detail["type"] != "extra_forbidden":
            malformed.add(str(detail["loc"][0]))
    try:
        rest = Inventory.model_validate(_STAND_INS | value)
    except ValidationError:
        return _Reading(None, problems)
    return _Reading(rest, problems, frozenset(malformed))


def _drop(value: dict[str, Any], location: Location, *, only_itself: bool) -> None:
    """Takes out what is malformed: an unknown key alone, of `_BY_NAME` the entry, else the whole section."""
    if not only_itself:
        location = location[: 2 if location[0] in _BY_NAME and isinstance(value.get(str(location[0])), dict) else 1]
    inner: Any = value
    for step in location[:-1]:
        if not isinstance(inner, dict) or step not in inner:
            return
        inner = inner[step]
    if isinstance(inner, dict):
        inner.pop(location[-1], None)


def _errors(found: Iterable[Finding], document: Document, emit: Sink) -> Iterator[Problem]:
    """The findings that are errors; warnings go to `emit`."""
    for finding in found:
        problem = document.problem(finding.location, finding.message, finding.hint)
        if finding.warning:
            hint = f" ({problem.hint})" if problem.hint else ""
            emit(Note(f"{problem.place}: {problem.message}{hint}", level="warning"))
        else:
            yield problem
