"""Virtual IPs handed over before a load balancer is worked on."""

from dataclasses import replace

import pytest

from kbootstrap.errors import CheckFailed, CommandFailed
from kbootstrap.workflows.guards import addresses
from kbootstrap.workflows.guards.addresses import ACTIVE, FIT, vips_elsewhere
from tests.golden.sites import TOPOLOGIES
from tests.unit.workflows.guards.stage import BROKEN, Stage

TIER = TOPOLOGIES["applications"]
STOP, START = (f"systemctl {verb} kube-endpoint-keepalived.service" for verb in ("stop", "start"))
SHOW = "ip -4 -oneline address"
BOTH = "2: eth0 inet 198.18.0.100/32 scope global eth0\n2: eth0 inet 198.18.0.101/32 scope global eth0\n"


def serving(shown: str = BOTH) -> Stage:
    """All is well; the other one shows these addresses."""
    stage = Stage(TIER)
    stage.expect("systemctl (is-active|stop|start) .*")
    stage.expect(SHOW, shown, on="lb2")
    return stage


def test_keepalived_is_stopped_meanwhile() -> None:
    stage = serving()
    with vips_elsewhere(stage.scene("lb1")):
        assert stage.ran == {"lb1": [ACTIVE, STOP], "lb2": [FIT, SHOW]}
    assert stage.ran["lb1"] == [ACTIVE, STOP, START]


def test_one_that_holds_nothing_has_nothing_to_hand_over() -> None:
    stage = Stage(TIER)
    stage.expect("systemctl is-active .*", exit_code=3, on="lb1")
    with vips_elsewhere(stage.scene("lb1")):
        pass
    assert stage.ran == {"lb1": [ACTIVE]}


def test_without_another_that_is_fit_nothing_is_begun() -> None:
    stage = Stage(TIER)
    stage.expect("systemctl is-active .*", on="lb1")
    stage.expect("systemctl is-active .*", exit_code=1, on="lb2")
    with pytest.raises(CheckFailed, match="no other load balancer would take"), vips_elsewhere(stage.scene("lb1")):
        raise AssertionError("the work was begun")
    assert stage.ran["lb1"] == [ACTIVE]


def test_what_is_not_taken_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "TAKEN_SECONDS", 0.0)
    stage = serving(BOTH.splitlines(keepends=True)[0])
    with pytest.raises(CheckFailed, match="have not taken all virtual IPs"), vips_elsewhere(stage.scene("lb1")):
        raise AssertionError("the work was begun")
    assert stage.ran["lb1"] == [ACTIVE, STOP, START]


def test_after_a_failure_it_takes_none() -> None:
    stage = serving()
    with pytest.raises(CommandFailed, match="could not restart it"), vips_elsewhere(stage.scene("lb1")):
        raise BROKEN
    assert stage.ran["lb1"] == [ACTIVE, STOP]


def test_a_single_one_has_nobody_to_hand_over_to() -> None:
    stage = Stage(replace(TIER, hosts=tuple(host for host in TIER.hosts if host.name != "lb2")))
    with vips_elsewhere(stage.scene("lb1")):
        pass
    assert stage.ran == {}


def test_other_hosts_have_no_virtual_ip_of_the_tier() -> None:
    stage = Stage(TIER)
    with vips_elsewhere(stage.scene("cp1")):
        pass
    assert stage.ran == {}
