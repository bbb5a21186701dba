"""Whatever stands in the file, it is an inventory or a list of problems with places: never a traceback."""

import random
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbootstrap.errors import InvalidInput
from kbootstrap.model.load import load_inventory
from kbootstrap.model.schema import inventory_schema
from tests.unit.model.worlds import GOOD, KNOWN

FULL = (
    GOOD
    + """\
ssh: {user: admin, port: 22, jump: [a@b:22], host_keys: strict, sudo_password: {env: X}}
groups:
  all: {labels: {a: b}, taints: ["a=b:NoSchedule"], vars: {x: 1}}
  workers: {hosts: ["w*"], roles: [worker], ssh: {port: 23}}
network: {hosts: [198.18.0.0/24], pods: 10.244.0.0/16, services: 10.96.0.0/16, node_ports: 30000-32767}
etcd: {heartbeat_ms: 100, election_ms: 500}
kubelet: {config: {maxPods: 110, list: [1, {a: b}]}, extra_args: {v: 2}}
containerd: {registries: {r.example: {mirrors: ["https://m.example"], username: u, password_file: p}}}
certificates: {days: 365}
"""
)

_KEYS = sorted({key for part in inventory_schema()["$defs"].values() for key in part.get("properties", {})})
_WORDS = st.sampled_from([*_KEYS, "cp1", "w*", "198.18.0.11", "10.0.0.0/8", "1.36.4", "prompt", "all", "-1", "", "~"])
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | _WORDS
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        load_inventory(path, environ={"HOME": "/nowhere"}, known=KNOWN)
    except InvalidInput as error:
        assert error.problems
        for problem in error.problems:
            assert problem.file == str(path)
            assert problem.message.strip()
            assert problem.line is None or problem.line >= 1


def test_the_full_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(FULL)
    load_inventory(path, environ={"HOME": "/", "X": ""}, known=KNOWN, local=False)


@fuzzed
@given(content=st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    read(tmp_path / "inventory.yml", content)


@fuzzed
@given(tail=st.text(max_size=100))
def test_any_text_after_a_good_beginning(tmp_path: Path, tail: str) -> None:
    read(tmp_path / "inventory.yml", (GOOD + tail).encode("utf-8", "surrogatepass"))


@fuzzed
@given(seed=st.integers(0, 2**32))
def test_damaged_files(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(FULL.encode())
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(content))
        match chance.randrange(4):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + chance.randint(1, 30)]
            case 2:
                content[at:at] = chance.choice(
                    [b"\n", b"  ", b": ", b"{", b"]", b"*a", b"&a ", b"- ", b"\t", b"'", b"#"]
                )
            case _:
                other = chance.randrange(len(content))
                content[at:at] = content[other : other + 40]
    read(tmp_path / "inventory.yml", bytes(content))


@fuzzed
@given(seed=st.integers(0, 2**32), value=_VALUES)
def test_wrong_values_in_any_place(tmp_path: Path, seed: int, value: object) -> None:
    chance = random.Random(seed)
    tree = yaml.safe_load(FULL)
    inner = tree
    while True:
        key = chance.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        if not isinstance(inner[key], dict | list) or not inner[key] or chance.random() < 0.3:
            break
        inner = inner[key]
    inner[key] = value
    read(tmp_path / "inventory.yml", yaml.safe_dump(tree).encode())


@fuzzed
@given(tree=st.dictionaries(_WORDS, _VALUES, max_size=5))
def test_any_mapping(tmp_path: Path, tree: dict[str, object]) -> None:
    read(tmp_path / "inventory.yml", yaml.safe_dump(tree).encode())
