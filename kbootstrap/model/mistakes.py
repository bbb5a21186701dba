"""What pydantic finds wrong, said so that a person can mend it."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kbootstrap.errors import Problem
from kbootstrap.model import schema
from kbootstrap.model.document import Document, Location, is_secret
from kbootstrap.model.fields import Refused

_SYNONYMS = {
    "ip": "address",
    "ansible_host": "address",
    "role": "roles",
    "username": "user",
    "key": "identity_file",
    "key_file": "identity_file",
    "private_key": "identity_file",
    "bastion": "jump",
    "proxy_jump": "jump",
    "become": "sudo",
    "version": "kubernetes",
    "api_version": "apiVersion",
    "nodes": "hosts",
    "variables": "vars",
    "pod_cidr": "pods",
    "service_cidr": "services",
    "master": "control-plane",
    "controlplane": "control-plane",
    "node": "worker",
}
"""What other tools call the same thing."""

_MANY_PLACES = 3
_SHOWN_CHARACTERS = 60
_WANTED = {
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "tuple_type": "a list",
    "string_type": "text",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "path_type": "a path",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def explain(error: ValidationError, document: Document) -> list[Problem]:
    """The problems behind a validation error, each with its place, in the file's order."""
    details = error.errors(include_url=False)
    renamed = {
        (*detail["loc"][:-1], better)
        for detail in details
        if detail["type"] == "extra_forbidden" and (better := _meant(detail["loc"])) is not None
    }
    problems = [
        _problem(detail, document)
        for detail in details
        if not (detail["type"] == "missing" and detail["loc"] in renamed)
    ]
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line or 0, problem.column or 0))


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    choices = list(known)
    if _SYNONYMS.get(word.lower()) in choices:
        return _SYNONYMS[word.lower()]
    folded = {choice.lower().replace("-", "_"): choice for choice in choices}
    close = get_close_matches(word.lower().replace("-", "_"), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def _meant(location: Location) -> str | None:
    return did_you_mean(str(location[-1]), schema.keys_at(location[:-1]))


def _problem(detail: ErrorDetails, document: Document) -> Problem:
    location = [step for step in detail["loc"] if step != "[key]"]
    kind = detail["type"]
    of_key = kind == "extra_forbidden" or "[key]" in detail["loc"]
    message, hint = _words(kind, location, detail)
    return document.problem(location, message, hint, of_key=of_key)


def _words(kind: str, location: Location, detail: ErrorDetails) -> tuple[str, str | None]:
    """The message and the hint for one of pydantic's errors."""
    context: dict[str, Any] = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key", _unknown_key_hint(location)
    if kind == "missing":
        return "it is missing", schema.at(location[:-1])["properties"][location[-1]].get("description")
    refused = context.get("error")
    if isinstance(refused, ValueError):
        return str(refused), refused.hint if isinstance(refused, Refused) else None
    shown = "this" if is_secret(location) else _shown(detail["input"])
    wrong = _wrong_type(kind, detail["input"], shown) or _wrong_value(kind, shown, context)
    return wrong or (detail["msg"], None)


def _wrong_type(kind: str, written: object, shown: str) -> tuple[str, str | None] | None:
    if kind not in _WANTED:
        return None
    hint = None
    if kind == "tuple_type" and isinstance(written, str):
        hint = f"write [{written}]"
    elif kind == "string_type" and written is None:
        hint = "leave the key out, or write a value after it"
    return f"expected {_WANTED[kind]}, not {shown}", hint


def _wrong_value(kind: str, shown: str, context: dict[str, Any]) -> tuple[str, str | None] | None:
    if kind in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", context["expected"])
        better = did_you_mean(shown.strip("'"), choices)
        return f"{shown} is not {_either(choices)}", f"did you mean {better!r}?" if better else None
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"{shown} must be {words} {context[key]}", None
    if kind == "too_short":
        return f"there must be at least {context['min_length']}", None
    if kind == "string_pattern_mismatch":
        return f"{shown} does not match {context['pattern']}", None
    return None


def _unknown_key_hint(location: Location) -> str | None:
    better = _meant(location)
    if better is not None:
        return f"did you mean {better!r}?"
    elsewhere = list(schema.places_of(str(location[-1])))
    if elsewhere:
        return f"it belongs at {_either(elsewhere[:_MANY_PLACES])}"
    known = schema.keys_at(location[:-1])
    return f"known here: {', '.join(known)}" if known else None


def _shown(written: object) -> str:
    if isinstance(written, dict):
        return "a mapping"
    if isinstance(written, list | tuple):
        return "a list"
    if written is None:
        return "nothing"
    text = repr(str(written))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _either(choices: Sequence[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
