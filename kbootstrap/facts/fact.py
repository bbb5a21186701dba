"""A fact, a batch of facts, and what a batch read."""

import secrets
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

from tenacity import retry, retry_if_exception_type, stop_after_attempt

from kbootstrap.errors import CommandFailed, KbootstrapError
from kbootstrap.transport.connection import Connection, Result

T = TypeVar("T")

READ_TIMEOUT = 60.0
"""Seconds a batch may take, before the scale of the host; it only reads, so a host that needs longer is stuck."""

READ_TRIES = 3

_BEHIND = """\
renice -n 10 -p $$ >/dev/null 2>&1 || :
echo 10 2>/dev/null >/proc/self/autogroup || :
"""
"""To look must not hold up what is looked at: kubectl, etcdctl and openssl take a processor's tenth of a second each.

Where Linux groups processes by session, niceness counts between the groups (sched(7)).
"""


_SCALE = "KBOOTSTRAP_SCALE"


def scaled(seconds: int) -> str:
    """What a script says for so many seconds: more on hosts that are slow by their inventory (after `at_scale`)."""
    return f"$(( ({seconds} * ${{{_SCALE}:-100}} + 99) / 100 ))"


def at_scale(scale: float) -> str:
    """What a script says before anything that is `scaled` by this factor."""
    return f"{_SCALE}={round(scale * 100)}\n"


class Fact(ABC, Generic[T]):
    """A question to a host: a shell script that prints, and a parser of what it printed.

    Facts are frozen dataclasses: equal facts are read once, and all facts of one class by one script (so that
    the state of a hundred files costs one process).
    """

    waits: ClassVar[bool] = False
    """Whether its script waits for others' answers, which may be long in coming: it runs beside all others then."""

    @classmethod
    @abstractmethod
    def script(cls, facts: Sequence[Self]) -> str:
        """POSIX shell that prints the answers; it runs as root and must not change anything."""

    @classmethod
    @abstractmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, T]:
        """Every fact's value; a question that could not be answered has a value that says so."""


class Facts:
    """What was read from one host."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[Fact[Any], object] | None = None) -> None:
        self._values = dict(values or {})

    def __getitem__(self, fact: Fact[T]) -> T:
        value: Any = self._values[fact]
        return value  # type: ignore[no-any-return]

    def __contains__(self, fact: Fact[Any]) -> bool:
        return fact in self._values

    def merged(self, other: "Facts") -> "Facts":
        """Both; where both know a fact, the other's value."""
        return Facts({**self._values, **other._values})


class Incomplete(CommandFailed):
    """A batch came back without its end, as from a sudo 1.9.13 that logs output."""


@retry(retry=retry_if_exception_type(Incomplete), stop=stop_after_attempt(READ_TRIES), reraise=True)
def read(connection: Connection, facts: Sequence[Fact[Any]]) -> Facts:
    """Reads all facts in one round trip. Raises CommandFailed when the batch itself does not come back."""
    groups = grouped(facts)
    if not groups:
        return Facts()
    boundary = secrets.token_hex(16)
    script = batch_script(groups, boundary, connection.scale)
    try:
        result = connection.run_script(script, timeout=READ_TIMEOUT * connection.scale)
    except KbootstrapError as error:
        error.output = None  # what was read up to then, keys among it
        raise
    return Facts(parse_batch(groups, boundary, result))


def grouped(facts: Iterable[Fact[Any]]) -> list[list[Fact[Any]]]:
    """The facts of each class, in the order in which a batch answers: those that wait for others come last."""
    by_class: dict[type[Fact[Any]], dict[Fact[Any], None]] = defaultdict(dict)
    for fact in facts:
        by_class[type(fact)][fact] = None
    return [list(by_class[one]) for one in sorted(by_class, key=lambda one: one.waits)]


def batch_script(groups: Sequence[Sequence[Fact[Any]]], boundary: str, scale: float = 1.0) -> str:
    """One script for all groups, see `grouped`; a line with the boundary, which no output contains, ends each answer.

    `scale` is the factor for what scripts have `scaled`.
    """
    end = f"printf '\\n%s\\n' {boundary}"
    body = ":"
    for group in groups:
        asking = f"(\n{type(group[0]).script(group)}\n) 2>/dev/null </dev/null"
        # A pipe's two ends run side by side, and it keeps what is said until it is fetched: no file is needed,
        # which a full disk would refuse.
        body = f"{asking} | {{\n{body}\ncat\n{end}\n}}" if group[0].waits else f"{body}\n{asking}\n{end}"
    return f"{_BEHIND}{at_scale(scale)}{body}\n"


def parse_batch(groups: Sequence[Sequence[Fact[Any]]], boundary: str, result: Result) -> dict[Fact[Any], object]:
    """Splits a batch's output and parses every group's share."""
    answers = result.stdout.split(f"\n{boundary}\n".encode())
    if len(answers) != len(groups) + 1 or result.truncated:
        raise Incomplete(
            "the facts could not be read",
            host=result.host,
            command=result.command,
            output=result.errors or None,  # not what was read: there are keys among it
        )
    values: dict[Fact[Any], object] = {}
    for group, answer in zip(groups, answers, strict=False):
        values.update(type(group[0]).parse(group, answer))
    return values


class Single(Fact[T]):
    """A fact that is asked for by a script of its own."""

    @property
    @abstractmethod
    def command(self) -> str:
        """Shell that prints the answer."""

    @abstractmethod
    def value(self, output: bytes) -> T:
        """The answer, from what the shell printed."""

    @classmethod
    def script(cls, facts: Sequence[Self]) -> str:
        return "\n".join(f"( {fact.command}\n); printf '\\036'" for fact in facts)

    @classmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, T]:
        answers = output.split(b"\x1e")
        return {fact: fact.value(answer) for fact, answer in zip(facts, answers, strict=False)}
