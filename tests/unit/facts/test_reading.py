"""Reading a batch that does not come back, or slowly: errors show nothing of what was read: there are keys among it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from kbootstrap.errors import CommandFailed, KbootstrapError, Unreachable
from kbootstrap.facts.fact import Single, read, scaled
from kbootstrap.facts.paths import PathState
from kbootstrap.transport.connection import COMMAND_TIMEOUT, Result
from tests.fakes import FakeConnection
from tests.local_host import LocalConnection

EVERYTHING = re.compile(".*", re.DOTALL)
KEY = "-----BEGIN PRIVATE KEY-----"


@pytest.mark.parametrize("error", [CommandFailed("did not end", output=KEY), Unreachable("was lost", output=KEY)])
def test_a_batch_that_was_cut_short(error: KbootstrapError) -> None:
    host = FakeConnection()
    host.expect(EVERYTHING, error=error)
    with pytest.raises(type(error)) as raised:
        read(host, [PathState(PurePosixPath("/etc/kubernetes/pki/ca.key"))])
    assert raised.value.output is None


def test_a_batch_without_its_end() -> None:
    host = FakeConnection()
    host.expect(EVERYTHING, KEY, stderr="sh: out of memory")
    with pytest.raises(CommandFailed) as raised:
        read(host, [PathState(PurePosixPath("/etc/kubernetes/pki/ca.key"))])
    assert raised.value.output == "sh: out of memory"


@dataclass(frozen=True, slots=True)
class Patience(Single[int]):
    """How long a daemon would be waited for."""

    @property
    def command(self) -> str:
        return f"echo {scaled(3)}"

    def value(self, output: bytes) -> int:
        return int(output)


class Slow(LocalConnection):
    """A host that is slow by its inventory."""

    allowed: float = 0.0

    def run_script(
        self, script: str, *, timeout: float = COMMAND_TIMEOUT, on_line: Callable[[str], None] | None = None
    ) -> Result:
        self.allowed = timeout
        return super().run_script(script, timeout=timeout, on_line=on_line)


@pytest.mark.parametrize(("scale", "patience", "batch"), [(1.0, 3, 60.0), (2.5, 8, 150.0), (0.1, 1, 6.0)])
def test_slow_hosts_and_their_daemons_have_more_time(scale: float, patience: int, batch: float) -> None:
    host = Slow("cp1", scale=scale)
    assert read(host, [Patience()])[Patience()] == patience
    assert host.allowed == batch


@dataclass(frozen=True, slots=True)
class Said(Single[str]):
    """What somebody says at once."""

    word: str

    @property
    def command(self) -> str:
        return f"echo {self.word}"

    def value(self, output: bytes) -> str:
        return output.decode().strip()


@dataclass(frozen=True, slots=True)
class Met(Said):
    """Somebody who answers only when the other, who is asked in the same batch, has been met too."""

    waits = True
    folder: Path
    other: str

    @property
    def command(self) -> str:
        wait = f"for _ in $(seq 50); do [ -e {self.folder}/{self.other} ] && echo {self.word} && break; sleep 0.1; done"
        return f"touch {self.folder}/{self.word}; {wait}"


class AlsoMet(Met):
    """Another class, and so another script."""


def test_those_who_are_waited_for_hold_up_nobody(tmp_path: Path) -> None:
    asked: list[Said] = [Met("etcd", tmp_path, "api"), Said("first"), AlsoMet("api", tmp_path, "etcd"), Said("second")]
    facts = read(LocalConnection("cp1"), asked)
    assert [facts[fact] for fact in asked] == ["etcd", "first", "api", "second"]


@dataclass(frozen=True, slots=True)
class Talkative(Single[int]):
    """How much somebody has said, which is more than a pipe holds."""

    waits = True

    @property
    def command(self) -> str:
        return "head -c 1000000 /dev/zero"

    def value(self, output: bytes) -> int:
        return len(output)


def test_a_long_answer_comes_whole() -> None:
    said = Said("beside it")
    facts = read(LocalConnection("cp1"), [Talkative(), said])
    assert (facts[Talkative()], facts[said]) == (1_000_000, "beside it")
