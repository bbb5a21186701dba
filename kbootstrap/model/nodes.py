"""A YAML document as a tree in which everything knows its place.

Scalars stay the text that was written (`1.10` is not 1.1, `no` is not false); the models that read a tree say
what type each one has. The tree is built from the parser's events, so that nesting, aliases and size are
bounded before anything is expanded.
"""

from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from kbootstrap.errors import Problem

MAX_NODES = 200_000
"""Values in a document once aliases and merge keys are expanded: a thousand hosts take about 20,000."""
MAX_DEPTH = 32
"""Levels of mappings and lists, aliases expanded."""
MAX_PROBLEMS = 100
"""Problems collected before giving up."""

_STR_TAG = "tag:yaml.org,2002:str"
_KNOWN_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_MERGE = "<<"


class Plain(str):
    """A scalar written without quotes: its type is still open."""

    __slots__ = ()

    def resolve(self) -> object:
        """The value that YAML's own rules give it: a number, a boolean, or its text."""
        try:
            value = yaml.load(str(self), Loader=yaml.CSafeLoader)
        except (yaml.YAMLError, ValueError):
            return str(self)
        return value if isinstance(value, bool | int | float) else str(self)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, both 1-based."""

    line: int
    column: int


@dataclass(slots=True)
class ScalarNode:
    """A single value; `text` is None for null."""

    mark: Mark
    text: str | None
    size: int = 1
    depth: int = 0


@dataclass(slots=True)
class ListNode:
    """A list. `size` counts all values in it, `depth` its levels, both with aliases expanded."""

    mark: Mark
    items: "list[Node]" = field(default_factory=list)
    size: int = 1
    depth: int = 1


@dataclass(slots=True)
class MapNode:
    """A mapping, each entry with the place of its key."""

    mark: Mark
    entries: "dict[str, tuple[Mark, Node]]" = field(default_factory=dict)
    size: int = 1
    depth: int = 1


Node = ScalarNode | ListNode | MapNode


class Malformed(Exception):
    """The text is no YAML document that can be read at all; carries what was found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("malformed YAML")
        self.problems = problems


def parse(text: str, file: str, *, any_tag: bool = False) -> Node | None:
    """The tree of the one document in `text`, None when there is nothing in it; raises Malformed.

    Tags other than YAML's own are refused, or ignored with `any_tag`.
    """
    builder = _Builder(file, any_tag)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        builder.refuse(_mark(error.problem_mark), _syntax(error), _syntax_hint(error))
    except yaml.YAMLError as error:
        builder.refuse(Mark(1, 1), f"this is not YAML: {str(error).splitlines()[0]}")
    except _GaveUp:
        pass
    if builder.problems:
        raise Malformed(builder.problems)
    return builder.root


def plain_value(node: Node) -> object:
    """The tree as dictionaries, lists, text (unquoted text as Plain) and None."""
    if isinstance(node, MapNode):
        return {key: plain_value(child) for key, (_, child) in node.entries.items()}
    if isinstance(node, ListNode):
        return [plain_value(child) for child in node.items]
    return node.text


def _mark(mark: object) -> Mark:
    line, column = getattr(mark, "line", 0), getattr(mark, "column", 0)
    return Mark(line + 1, column + 1)


def _syntax(error: yaml.MarkedYAMLError) -> str:
    context = f" {error.context}" if error.context else ""
    return f"YAML syntax: {error.problem}{context}"


def _syntax_hint(error: yaml.MarkedYAMLError) -> str | None:
    problem = error.problem or ""
    if "\\t" in problem or "cannot start any token" in problem:
        return "indent with spaces, not tabs; quote a value that begins with a special character"
    if "mapping values are not allowed" in problem:
        return "quote a value that contains ': ', or check the indentation"
    if "did not find expected" in problem:
        return "check the indentation and that every bracket and quote is closed"
    return None


class _GaveUp(Exception):
    """Reading on makes no sense."""


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    node: MapNode | ListNode
    anchor: str | None
    key: tuple[str, Mark] | None = None
    """In a mapping: the key that waits for its value."""
    merged: list[MapNode] = field(default_factory=list)

    @property
    def wants_key(self) -> bool:
        return isinstance(self.node, MapNode) and self.key is None


class _Builder:
    """Puts the parser's events together; goes on after a problem where that makes sense."""

    def __init__(self, file: str, any_tag: bool) -> None:
        self.file = file
        self._any_tag = any_tag
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._documents = 0
        self._anchors: dict[str, Node] = {}
        self._stack: list[_Open] = []

    def refuse(self, mark: Mark, message: str, hint: str | None = None) -> None:
        """Notes a problem, and gives up when there are too many."""
        self.problems.append(Problem(message, self.file, mark.line, mark.column, hint))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _GaveUp

    def stop(self, mark: Mark, message: str, hint: str | None = None) -> NoReturn:
        """Notes a problem after which the rest cannot be understood."""
        self.refuse(mark, message, hint)
        raise _GaveUp

    def take(self, event: yaml.Event) -> None:
        """Adds one event."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self.stop(_mark(event.start_mark), "a second document begins here", "one document a file")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        mark = _mark(event.start_mark)
        self._check_tag(mark, event.tag)
        if self._stack and self._stack[-1].wants_key:
            self._key(self._stack[-1], mark, event.value)
            return
        if event.style or event.tag == _STR_TAG:
            node = ScalarNode(mark, event.value)
        else:
            node = ScalarNode(mark, None if event.value in _NULLS else Plain(event.value))
        self._finish(node, event.anchor)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        mark = _mark(event.start_mark)
        self._check_tag(mark, event.tag)
        if self._stack and self._stack[-1].wants_key:
            self.stop(mark, "a key must be a single value", "quote a value that begins with '{' or '['")
        if len(self._stack) >= MAX_DEPTH:
            self.stop(mark, f"nested deeper than {MAX_DEPTH} levels")
        node = MapNode(mark) if isinstance(event, yaml.MappingStartEvent) else ListNode(mark)
        self._stack.append(_Open(node, event.anchor))

    def _end(self) -> None:
        done = self._stack.pop()
        for source in done.merged:
            self._merge(done.node, source)
        self._finish(done.node, done.anchor)

    def _alias(self, event: yaml.AliasEvent) -> None:
        mark = _mark(event.start_mark)
        node = self._anchors.get(event.anchor or "")
        if node is None:
            self.stop(mark, f"*{event.anchor} does not refer to anything before it", "define it with & first")
        if self._stack and self._stack[-1].wants_key:
            self.stop(mark, "an alias cannot be a key")
        self._finish(node, None)

    def _key(self, container: _Open, mark: Mark, key: str) -> None:
        if isinstance(container.node, MapNode) and key in container.node.entries:
            first = container.node.entries[key][0]
            self.refuse(mark, f"{key!r} is here for the second time", f"the first is in line {first.line}")
        container.key = (key, mark)

    def _finish(self, node: Node, anchor: str | None) -> None:
        """Puts a complete value where it belongs."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        container = self._stack[-1]
        if isinstance(container.node, ListNode):
            container.node.items.append(node)
        elif container.key is not None:
            (key, mark), container.key = container.key, None
            if key == _MERGE:
                container.merged.extend(self._mappings(mark, node))
                return
            container.node.entries.setdefault(key, (mark, node))
        self._grow(container.node, node.size, node.depth, node.mark)

    def _mappings(self, mark: Mark, node: Node) -> list[MapNode]:
        """What a merge key may hold: a mapping, or a list of mappings."""
        candidates = node.items if isinstance(node, ListNode) else [node]
        mappings = [candidate for candidate in candidates if isinstance(candidate, MapNode)]
        if len(mappings) != len(candidates):
            self.refuse(mark, "'<<' merges mappings only", "write <<: *name, with &name at a mapping")
        return mappings

    def _merge(self, target: MapNode | ListNode, source: MapNode) -> None:
        """Adds the entries of `source` that `target` does not have itself."""
        if isinstance(target, MapNode):
            target.entries = {**source.entries, **target.entries}
            self._grow(target, source.size, source.depth - 1, target.mark)

    def _grow(self, container: MapNode | ListNode, size: int, depth: int, mark: Mark) -> None:
        container.size += size
        container.depth = max(container.depth, depth + 1)
        if container.size > MAX_NODES:
            self.stop(mark, f"more than {MAX_NODES} values", "an alias counts each time it is used")
        if container.depth > MAX_DEPTH:
            self.stop(mark, f"nested deeper than {MAX_DEPTH} levels")

    def _check_tag(self, mark: Mark, tag: str | None) -> None:
        if tag is not None and tag not in _KNOWN_TAGS and not self._any_tag:
            self.refuse(mark, f"the tag {tag} is not understood", "leave the tag out")
