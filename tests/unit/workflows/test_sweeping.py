"""Taking the writing probes' objects away: all of theirs, a thousand at a time, and nothing else."""

import re

import pytest

from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.errors import Unreachable
from kbootstrap.events import Event
from kbootstrap.probes.application import Stage
from kbootstrap.probes.samples import Track
from kbootstrap.probes.spec import object_name
from kbootstrap.workflows.sweeping import prefixes, sweep
from tests.fakes import FakeConnection

STAGE = Stage("kbootstrap-probe-1a2b3c", 30000)


@pytest.mark.parametrize(("highest", "commands"), [(-1, 0), (0, 1), (999, 1), (1000, 2), (12_345, 13)])
def test_every_object_has_one_of_the_prefixes(highest: int, commands: int) -> None:
    found = list(prefixes([Track("write-new.w1", highest=highest), Track("api-new", highest=9_999)]))
    assert len(found) == commands
    for serial in range(highest + 1):
        assert sum(object_name("write-new.w1", serial).startswith(prefix) for prefix in found) == 1


def test_they_are_deleted_in_the_namespace_of_the_run() -> None:
    host, told = FakeConnection(), list[Event]()
    host.expect(re.compile(".*"), "1000")
    sweep([host], STAGE, [Track("write-kept", highest=1_700)], told.append)
    start = f"{LOCAL_BIN}/etcdctl --command-timeout=10s del --prefix /registry/configmaps/{STAGE.namespace}/"
    assert host.commands == [f"{start}write-kept-0000", f"{start}write-kept-0001"]
    assert told == []


def test_what_cannot_be_deleted_is_told_and_fails_nothing() -> None:
    host, told = FakeConnection(), list[Event]()
    host.expect(re.compile(".*"), error=Unreachable("no route to host"))
    sweep([host], STAGE, [Track("write-kept", highest=3)], told.append)
    assert "left to the namespace's controller" in str(told[0])
