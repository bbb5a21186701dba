"""Playbooks from files: those that come with the package, and those of the user."""

from pathlib import Path

from pydantic import ValidationError

from kbootstrap.checks.catalogue import CHECKS
from kbootstrap.components.catalogue import COMPONENTS
from kbootstrap.engine.playbook import Playbook
from kbootstrap.engine.selectors import SELECTORS, unknown
from kbootstrap.errors import InvalidInput, Problem
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.document import Document, read_document
from kbootstrap.model.settings import Serial
from kbootstrap.resources import folder
from kbootstrap.workflows.guards.catalogue import GUARDS
from kbootstrap.workflows.leaders import LEADERS

WORKERS = "workers"
"""The phase that goes in batches."""


def builtin(name: str) -> Playbook:
    """A playbook that comes with the package, e.g. `up`."""
    return load_playbook(folder("playbooks") / f"{name}.yml")


def load_playbook(path: Path, cluster: Cluster | None = None) -> Playbook:
    """Reads and checks a playbook, for a cluster if one is given. Raises InvalidInput with every problem."""
    document = read_document(path)
    try:
        playbook = Playbook.model_validate(document.value)
    except ValidationError as error:
        problems = [document.problem(each["loc"], each["msg"]) for each in error.errors()]
        raise InvalidInput(f"{path} is not a valid playbook", problems) from None
    problems = _unknown_names(playbook, document, cluster)
    if problems:
        raise InvalidInput(f"{path} is not a valid playbook", problems)
    return playbook


def in_batches(playbook: Playbook, size: Serial) -> Playbook:
    """The playbook with so many workers at a time, in its phase of that name."""
    phases = (
        phase.model_copy(update={"serial": size}) if phase.phase == WORKERS else phase for phase in playbook.phases
    )
    return playbook.model_copy(update={"phases": tuple(phases)})


def _unknown_names(playbook: Playbook, document: Document, cluster: Cluster | None) -> list[Problem]:
    problems = []
    for number, phase in enumerate(playbook.phases):
        place = ("phases", number)
        for kind, key, names, known in (
            ("component", "components", phase.components, COMPONENTS),
            ("check", "checks", phase.checks, CHECKS),
            ("check", "gates", phase.gates, CHECKS),
            ("guard", "around", phase.around, GUARDS),
            ("order", "last", (phase.last,) if phase.last else (), LEADERS),
        ):
            problems += [
                document.problem((*place, key), f"there is no {kind} {name!r}", f"known: {', '.join(known)}")
                for name in names
                if name not in known
            ]
        if cluster is not None:
            problems += [
                document.problem(
                    (*place, "hosts"),
                    f"{word!r} is neither a role nor a host of the inventory",
                    f"roles: {', '.join(SELECTORS)}",
                )
                for word in unknown(phase.hosts, cluster)
            ]
    return problems
