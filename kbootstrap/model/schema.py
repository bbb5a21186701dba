"""The JSON Schema of an inventory: published for editors, and asked for what is known at a place."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from kbootstrap.model.inventory import Inventory

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


@cache
def inventory_schema() -> Schema:
    """The schema of the whole file. Not to be changed by its callers."""
    schema = _without_noise(Inventory.model_json_schema())
    first = ("apiVersion", "cluster", "ssh", "groups", "hosts")
    properties = {key: schema["properties"][key] for key in (*first, *schema["properties"])}
    return {"$schema": DIALECT, "title": "kbootstrap inventory", **schema, "properties": properties}


def _without_noise(schema: Any) -> Any:  # noqa: ANN401 - any part of a JSON document
    """Drops what repeats elsewhere: titles made of names, and the defaults of whole sections."""
    if isinstance(schema, list):
        return [_without_noise(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _without_noise(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and (value is None or isinstance(value, dict)))
    }
    return {**kept, "additionalProperties": False} if "patternProperties" in kept else kept


def at(location: Sequence[str | int]) -> Schema:
    """The schema of what may stand at a place; empty where everything may."""
    schema = inventory_schema()
    for step in location:
        schema = _object_in(schema)
        if isinstance(step, int):
            schema = schema.get("items", {})
        elif step in schema.get("properties", {}):
            schema = schema["properties"][step]
        else:
            more = schema.get("additionalProperties")
            patterns = list(schema.get("patternProperties", {}).values())
            schema = more if isinstance(more, dict) else patterns[0] if patterns else {}
    return _object_in(schema)


def keys_at(location: Sequence[str | int]) -> list[str]:
    """The keys that a mapping at a place may have; empty where they are the user's choice."""
    return list(at(location).get("properties", {}))


def places_of(key: str) -> Iterator[str]:
    """Where in an inventory a key belongs, as dotted paths; `*` stands for a name of the user's choice."""
    yield from _places(inventory_schema(), key, ())


def _places(schema: Schema, key: str, path: tuple[str, ...]) -> Iterator[str]:
    schema = _object_in(schema)
    for name, inner in schema.get("properties", {}).items():
        if name == key:
            yield ".".join((*path, name))
        yield from _places(inner, key, (*path, name))
    for inner in (*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from _places(inner, key, (*path, "*"))


def resolved(schema: Schema) -> Schema:
    """The schema itself, or what it refers to."""
    if "$ref" not in schema:
        return schema
    definition: Schema = inventory_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    return definition


def _object_in(schema: Schema) -> Schema:
    """The schema that is meant; of alternatives the one that is a mapping or a list."""
    schema = resolved(schema)
    options = [_object_in(option) for option in schema.get("anyOf", ())]
    return next((option for option in options if option.get("type") in ("object", "array")), schema)
