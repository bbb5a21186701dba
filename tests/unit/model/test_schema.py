"""The published schema, the reference and the examples: all from the same models."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kbootstrap.model import topologies
from kbootstrap.model.load import load_inventory
from kbootstrap.model.reference import reference
from kbootstrap.model.schema import inventory_schema, keys_at, places_of, resolved
from kbootstrap.model.topologies import TOPOLOGIES, Wishes, inventory_text
from tests.unit.model.test_fuzz import FULL

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "inventories").glob("*.yml"))


def faults(value: object, schema: dict[str, Any], where: str = "") -> list[str]:
    """What a value breaks of a schema: as much of JSON Schema as ours uses."""
    schema = resolved(schema)
    unknown = set(schema) - _UNDERSTOOD
    assert not unknown, f"this checker does not know {unknown}"
    if "anyOf" in schema:
        return [] if any(not faults(value, option, where) for option in schema["anyOf"]) else [f"{where}: none fits"]
    if "const" in schema and value != schema["const"]:
        return [f"{where}: not {schema['const']}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: not one of {schema['enum']}"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_IS[kind](value) for kind in kinds):
        return [f"{where}: no {kinds}"]
    found = []
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{where}: does not match {schema['pattern']}")
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{where}: out of bounds")
    if isinstance(value, list) and "items" in schema:
        found += [fault for n, item in enumerate(value) for fault in faults(item, schema["items"], f"{where}[{n}]")]
    if isinstance(value, dict):
        found += _faults_in_mapping(value, schema, where)
    return found


def _faults_in_mapping(value: dict[str, Any], schema: dict[str, Any], where: str) -> list[str]:
    found = [f"{where}: {key} is missing" for key in schema.get("required", ()) if key not in value]
    for key, item in value.items():
        patterns = [inner for pattern, inner in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
        inner = schema.get("properties", {}).get(key) or (patterns or [schema.get("additionalProperties", True)])[0]
        if inner is False:
            found.append(f"{where}.{key}: unknown")
        elif isinstance(inner, dict):
            found += faults(item, inner, f"{where}.{key}")
    return found


_UNDERSTOOD = {
    *("$schema", "$defs", "title", "description", "default", "format", "anyOf", "const", "enum", "type", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "items", "required", "properties", "patternProperties"),
    *("additionalProperties", "minProperties", "propertyNames"),
}
_IS: dict[str, Any] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_fit_the_schema_and_are_valid(path: Path) -> None:
    assert faults(yaml.safe_load(path.read_text()), inventory_schema()) == []
    notes: list[object] = []
    load_inventory(path, environ={"HOME": "/home/user"}, local=False, emit=notes.append)
    assert notes == []


def test_a_full_inventory_fits_the_schema() -> None:
    assert faults(yaml.safe_load(FULL), inventory_schema()) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("kbootstrap/v1", "kbootstrap/v2"),
        ("name: demo, ", ""),
        ("1.36.4", "1.36"),
        ("w1:", "W1:"),
        ("[worker]", "[wroker]"),
        ("port: 22,", "port: 0,"),
        ("certificates:", "certs:"),
        ("address: 198.18.0.11, ", ""),
        ("NoSchedule", "Never"),
        ("strict", "no"),
        ("{env: X}", "hunter2"),
    ],
)
def test_the_schema_refuses(before: str, after: str) -> None:
    assert faults(yaml.safe_load(FULL.replace(before, after)), inventory_schema())


@pytest.mark.parametrize("name", list(TOPOLOGIES))
def test_examples_are_what_init_writes(name: str) -> None:
    assert (ROOT / "inventories" / f"{name}.yml").read_text() == inventory_text(TOPOLOGIES[name], Wishes())


def test_examples_show_what_they_promise(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    for name, topology in topologies.TOPOLOGIES.items():
        path.write_text(inventory_text(topology, Wishes()))
        cluster = load_inventory(path, environ={}, local=False)
        assert len(cluster.control_planes) == topology.control_planes
        assert len(cluster.etcd_members) == (topology.etcd or topology.control_planes)
        assert len(cluster.load_balancers) == topology.load_balancers
        assert cluster.settings.endpoint.mode == topology.endpoint, name


def test_every_commented_line_of_an_example_is_valid_too(tmp_path: Path) -> None:
    text = inventory_text(TOPOLOGIES["ha-workers"], Wishes())
    uncommented = re.sub(
        r"^( *)# (?=(identity_file|port|jump|host_keys|groups|network|containerd|  gpu)\b)", r"\1", text, flags=re.M
    )
    assert uncommented.count("#") < text.count("#") - 5
    path = tmp_path / "inventory.yml"
    path.write_text(uncommented)
    cluster = load_inventory(path, environ={}, local=False)
    assert cluster.host("w1").labels == {"example.com/gpu": "true"}
    assert cluster.settings.containerd.registries["docker.io"].mirrors


def test_published_files_are_current() -> None:
    hint = "run: kbootstrap schema > docs/inventory.schema.json; kbootstrap schema --markdown > docs/inventory-keys.md"
    assert json.loads((ROOT / "docs/inventory.schema.json").read_text()) == inventory_schema(), hint
    assert (ROOT / "docs/inventory-keys.md").read_text() == reference(), hint


def test_the_guide_names_no_key_that_is_not_there() -> None:
    text = (ROOT / "docs/inventory.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.S)
    assert blocks
    for block in blocks:
        part = yaml.safe_load(block)
        schema = {**inventory_schema(), "required": []}
        assert faults(part, schema) == [], block


def test_the_schema_can_be_asked() -> None:
    assert "address" in keys_at(("hosts", "x"))
    assert keys_at(("hosts",)) == []
    assert keys_at(("no", "such", "place")) == []
    assert keys_at(("hosts", "x", "ssh", "sudo_password")) == ["env", "file"]
    assert list(places_of("vip")) == ["cluster.endpoint.vip", "load_balancer.instances.*.vip"]
    assert "hosts.*.address" in list(places_of("address"))
