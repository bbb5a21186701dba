"""Every key of an inventory as Markdown tables, made from its schema."""

import json
from collections.abc import Iterator

from kbootstrap.model.schema import Schema, inventory_schema, resolved

_TITLE = """\
# Every key of an inventory

Made by `kbootstrap schema --markdown` from the same models that read inventories; what the keys mean together is
in [inventory.md](inventory.md). Keys in bold must be there.
"""
_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}


def reference() -> str:
    """One table for the file itself, and one for each mapping in it."""
    return _TITLE + "".join(_section(path, schema) for path, schema in _sections((), inventory_schema(), set()))


def _sections(path: tuple[str, ...], schema: Schema, seen: set[str]) -> Iterator[tuple[str, Schema]]:
    """Every mapping with keys of ours; below the top level once, named by the first place where it stands."""
    ref = schema.get("$ref", "")
    schema = resolved(schema)
    if schema.get("properties") and (len(path) <= 1 or ref not in seen):
        seen.add(ref)
        yield ".".join(path), schema
        for key, inner in schema["properties"].items():
            yield from _sections((*path, key), inner, seen)
    for inner in _named(schema):
        yield from _sections((*path, "NAME"), inner, seen)
    for option in schema.get("anyOf", ()):
        yield from _sections(path, option, seen)


def _section(path: str, schema: Schema) -> str:
    rows = "".join(
        f"| {_key(key, schema)} | {_type(inner)} | {_default(inner)} | {_meaning(inner)} |\n"
        for key, inner in schema["properties"].items()
    )
    title = f"\n## {path}\n\n" if path else "\n## The file\n\n"
    about = f"{schema['description']}\n\n" if schema.get("description") else ""
    return f"{title}{about}| key | value | default | |\n| --- | --- | --- | --- |\n{rows}"


def _key(key: str, schema: Schema) -> str:
    return f"**`{key}`**" if key in schema.get("required", ()) else f"`{key}`"


def _type(schema: Schema) -> str:
    schema = resolved(schema)
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if options:
        return " or ".join(_type(option) for option in options)
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if kind == "object":
        named = next(_named(schema), None)
        return "mapping" if named is None else f"by name: {_type(named)}"
    word = _WORDS[kind[0] if isinstance(kind, list) else kind]
    return f"{word}{' or list' if 'array' in kind else ''}{_bounds(schema)}"


def _bounds(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    if least is not None:
        return f", at least {least}"
    if "exclusiveMinimum" in schema:
        return f", more than {schema['exclusiveMinimum']}"
    return {"ipv4": " (address)", "ipv4network": " (range)", "path": " (path)"}.get(schema.get("format", ""), "")


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return "" if default in (None, [], {}) else f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _meaning(schema: Schema) -> str:
    text = schema.get("description") or resolved(schema).get("description") or ""
    return str(text).partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _named(schema: Schema) -> Iterator[Schema]:
    """What a mapping holds under names of the user's choice."""
    yield from schema.get("patternProperties", {}).values()
    if isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"]
