"""Playbooks from files: those that come with the package, and those of the user."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from kbootstrap.components.catalogue import COMPONENTS
from kbootstrap.engine.playbook import Playbook
from kbootstrap.errors import InvalidInput, Problem
from kbootstrap.resources import folder


@cache
def builtin(name: str) -> Playbook:
    """A playbook that comes with the package, e.g. `up`."""
    return load_playbook(folder("playbooks") / f"{name}.yml")


def load_playbook(path: Path) -> Playbook:
    """Reads and checks a playbook. Raises InvalidInput with every problem."""
    try:
        playbook = Playbook.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"the playbook {path} cannot be read: {error}") from error
    except ValidationError as error:
        problems = [
            Problem(detail["msg"], file=str(path), hint=".".join(str(part) for part in detail["loc"]) or None)
            for detail in error.errors()
        ]
        raise InvalidInput(f"the playbook {path} is wrong", problems) from error
    missing = [
        Problem(f"phase {phase.phase!r}: there is no component {name!r}", file=str(path))
        for phase in playbook.phases
        for name in phase.components
        if name not in COMPONENTS
    ]
    if missing:
        raise InvalidInput(f"the playbook {path} is wrong", missing)
    return playbook
