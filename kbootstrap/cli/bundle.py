"""Options that several commands share as a whole: a dataclass, whose fields become options of each command."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar, get_type_hints

R = TypeVar("R")


def unbundled(command: Callable[..., R]) -> Callable[..., R]:
    """The command as typer wants it: its parameter that is a dataclass replaced by the fields of that.

    Each field is annotated and defaults as an option of typer's.
    """
    taken = _hints(command)
    name = next(name for name, hint in taken.items() if is_dataclass(hint))
    bundle = taken[name]
    own = [parameter for parameter in signature(command).parameters.values() if parameter.name != name]
    hints = _hints(bundle)
    parts = [
        Parameter(field.name, Parameter.POSITIONAL_OR_KEYWORD, default=field.default, annotation=hints[field.name])
        for field in fields(bundle)
    ]

    @wraps(command)
    def run(**given: Any) -> R:  # noqa: ANN401 - what the options give
        whole = bundle(**{part.name: given.pop(part.name) for part in parts})
        return command(**given, **{name: whole})

    # What typer reads, instead of what `wraps` says.
    run.__signature__ = signature(command).replace(parameters=[*own, *parts])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *parts)}
    return run


def _hints(thing: object) -> dict[str, Any]:
    return get_type_hints(thing, include_extras=True)
