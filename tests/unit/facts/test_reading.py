"""Reading a batch that does not come back, or slowly: errors show nothing of what was read: there are keys among it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

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
