"""Configuration that is data: merged with the inventory's, written as YAML."""

from collections.abc import Mapping
from typing import Any

import yaml

HEADER = "# Written by kbootstrap; changes here are overwritten.\n"


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with what `over` says; maps are merged, anything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def yaml_file(*values: Mapping[str, Any]) -> bytes:
    """The values as a YAML file, a document each, in their own order."""
    return (HEADER + yaml.safe_dump_all(map(dict, values), sort_keys=False)).encode()
