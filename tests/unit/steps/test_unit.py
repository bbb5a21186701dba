"""When a unit is started, restarted, or only enabled."""

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from kbootstrap.facts.fact import Facts
from kbootstrap.facts.units import UnitState, UnitStatus
from kbootstrap.steps.unit import Unit

CONFIG = PurePosixPath("/etc/etcd/etcd.conf")
UNIT = Unit("etcd.service", (CONFIG,))
WELL = UnitStatus(True, "active", "running", "enabled", False, stamp="1", inputs="1")


def title(status: UnitStatus, touched: frozenset[PurePosixPath] = frozenset()) -> str | None:
    change = UNIT.diff(Facts({UnitState(UNIT.name, UNIT.inputs): status}), touched)
    return change.title if change else None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(WELL, None, id="well"),
        pytest.param(replace(WELL, enabled="disabled"), "enable etcd.service", id="not enabled: nothing restarts"),
        pytest.param(replace(WELL, stamp="0"), "restart etcd.service", id="started with other files"),
        pytest.param(replace(WELL, stamp="0", enabled="disabled"), "restart etcd.service", id="both"),
        pytest.param(replace(WELL, active="inactive", sub="dead"), "start etcd.service", id="stopped"),
        pytest.param(replace(WELL, sub="auto-restart", active="activating"), "start etcd.service", id="keeps failing"),
    ],
)
def test_what_is_done(status: UnitStatus, expected: str | None) -> None:
    assert title(status) == expected


def test_a_file_that_is_about_to_change() -> None:
    assert title(WELL, frozenset({CONFIG})) == "restart etcd.service"


def test_enabling_leaves_the_stamp_and_the_service_alone() -> None:
    change = UNIT.diff(Facts({UnitState(UNIT.name, UNIT.inputs): replace(WELL, enabled="disabled")}), frozenset())
    assert change is not None
    assert change.script == "systemctl enable --quiet etcd.service"
