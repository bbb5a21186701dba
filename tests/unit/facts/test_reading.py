"""Reading a batch that does not come back: the error shows nothing of what was read, for there are keys among it."""

import re
from pathlib import PurePosixPath

import pytest

from kbootstrap.errors import CommandFailed, KbootstrapError, Unreachable
from kbootstrap.facts.fact import read
from kbootstrap.facts.paths import PathState
from tests.fakes import FakeConnection

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
