"""The YAML tree: places, bounds, and what is refused."""

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.errors import Problem
from kbootstrap.model.nodes import MAX_DEPTH, MAX_PROBLEMS, Malformed, MapNode, Mark, Plain, parse, plain_value


def value(text: str) -> object:
    root = parse(text, "f.yml")
    assert root is not None
    return plain_value(root)


def refused(text: str) -> list[Problem]:
    with pytest.raises(Malformed) as caught:
        parse(text, "f.yml")
    return caught.value.problems


def test_scalars_stay_as_written() -> None:
    assert value("{a: 1.10, b: no, c: 0644, d: '1', e: 12:30}") == {
        "a": "1.10",
        "b": "no",
        "c": "0644",
        "d": "1",
        "e": "12:30",
    }


def test_null_in_all_its_spellings() -> None:
    assert value("a:\nb: ~\nc: null\nd: ''\ne: 'null'") == {"a": None, "b": None, "c": None, "d": "", "e": "null"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [("1", 1), ("0.5", 0.5), ("true", True), ("no", False), ("2020-01-01", "2020-01-01"), ("x", "x"), ("a: b", "a: b")],
)
def test_open_types_can_be_resolved(text: str, meant: object) -> None:
    assert Plain(text).resolve() == meant


def test_quoted_text_is_never_open() -> None:
    inner = value("a: 'true'\nb: !!str true\nc: true")
    assert isinstance(inner, dict)
    assert [isinstance(item, Plain) for item in inner.values()] == [False, False, True]


def test_places_are_one_based() -> None:
    root = parse("a: 1\nb:\n  cé: x\n", "f.yml")
    assert isinstance(root, MapNode)
    key, inner = root.entries["b"]
    assert key == Mark(2, 1)
    assert isinstance(inner, MapNode)
    mark, leaf = inner.entries["cé"]
    assert (mark, leaf.mark) == (Mark(3, 3), Mark(3, 7))


def test_aliases_and_merges() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: &m {y: 5, z: 6}\nuse: {<<: [*b, *m], x: 3}\nagain: *b\n"
    assert value(text) == {
        "base": {"x": "1", "y": "2"},
        "more": {"y": "5", "z": "6"},
        "use": {"x": "3", "y": "2", "z": "6"},
        "again": {"x": "1", "y": "2"},
    }
    assert value(text) == yaml.load(text, Loader=yaml.BaseLoader) | {
        "use": {"x": "3", "y": "2", "z": "6"},
    }


def test_own_key_wins_over_a_merge_that_follows_it() -> None:
    assert value("b: &b {x: 1}\nu:\n  x: 2\n  <<: *b\n") == {"b": {"x": "1"}, "u": {"x": "2"}}


def test_duplicate_keys_are_all_named() -> None:
    found = refused("a: 1\nb: 2\na: 3\nb: 4\n")
    assert [(problem.line, problem.column) for problem in found] == [(3, 1), (4, 1)]
    assert "line 1" in (found[0].hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "a: *nowhere",
        "a: &a [*a]",
        "{[1]: 2}",
        "{{a: b}: 2}",
        "*x : 1",
        "x: &x y\n*x : 1",
        "a: !!python/object/apply:os.system [ls]",
        "a: !vault x",
        "a: 1\n---\nb: 2",
        "a:\n\tb: 1",
        "a: [1, 2",
        "a: 'x",
        "a: b: c",
        "<<: 1",
        "b: &b [1]\na: {<<: *b}",
        "\x07",
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str) -> None:
    problem = refused(text)[0]
    assert problem.line is not None
    assert problem.message


def test_other_tags_can_be_ignored() -> None:
    root = parse("a: !vault x", "f.yml", any_tag=True)
    assert root is not None
    assert plain_value(root) == {"a": "x"}


def test_nothing_is_none() -> None:
    assert parse("", "f.yml") is None
    assert parse("# only a comment\n", "f.yml") is None


def test_a_billion_laughs_are_stopped_at_once() -> None:
    laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
    )
    began = time.monotonic()
    assert "values" in refused(laughs)[0].message
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "? " * 100_000, "{a: " * 100_000])
def test_deep_nesting_is_stopped_at_once(text: str) -> None:
    began = time.monotonic()
    assert "levels" in refused(text)[0].message or "key" in refused(text)[0].message
    assert time.monotonic() - began < 2


def test_depth_counts_through_aliases() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, MAX_DEPTH + 5))
    assert "levels" in refused(text)[0].message


def test_merges_count_too() -> None:
    wide = ", ".join(f"k{n}: 1" for n in range(1000))
    text = f"b: &b {{{wide}}}\nl:\n" + "".join("  - {<<: *b}\n" for _ in range(300))
    assert "values" in refused(text)[0].message


def test_problems_are_bounded() -> None:
    assert len(refused("a: 1\n" * 10_000)) == MAX_PROBLEMS


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text, "f.yml")
    except Malformed as error:
        assert error.problems


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _resolved(tree: object) -> object:
    if isinstance(tree, dict):
        return {key: _resolved(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_resolved(item) for item in tree]
    return tree.resolve() if isinstance(tree, Plain) else tree


@given(_TREES)
def test_what_yaml_writes_is_read_back(tree: object) -> None:
    text = yaml.safe_dump(tree)
    if "<<" in text or "..." in text:
        return
    assert _resolved(value(text)) == tree
