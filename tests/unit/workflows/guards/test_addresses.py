"""Virtual IPs handed over before a host is worked on."""

from dataclasses import replace

import pytest

from kbootstrap.errors import CheckFailed, CommandFailed
from kbootstrap.workflows.guards import addresses
from kbootstrap.workflows.guards.addresses import ACTIVE, FIT, SHOW, vips_elsewhere
from tests.golden.sites import TOPOLOGIES
from tests.unit.workflows.guards.stage import BROKEN, Stage

TIER = TOPOLOGIES["applications"]
STOP, START = (f"systemctl {verb} kube-endpoint-keepalived.service" for verb in ("stop", "start"))
NONE = "2: eth0 inet 198.18.0.31/24 scope global eth0\n"
BOTH = "2: eth0 inet 198.18.0.100/32 scope global eth0\n2: eth0 inet 198.18.0.101/32 scope global eth0\n"


def serving(shown: str = BOTH, own: str = NONE) -> Stage:
    """All is well; the other one shows these addresses when it is asked, and the host itself its own before."""
    stage = Stage(TIER)
    stage.expect("systemctl (is-active|stop|start) .*")
    stage.expect(SHOW, own, on="lb1")
    stage.expect(SHOW, shown, on="lb2")
    return stage


def test_keepalived_is_stopped_meanwhile() -> None:
    stage = serving()
    with vips_elsewhere(stage.scene("lb1")):
        assert stage.ran == {"lb1": [ACTIVE, SHOW, STOP], "lb2": [FIT, SHOW]}
    assert stage.ran["lb1"] == [ACTIVE, SHOW, STOP, START]


def test_requests_under_way_are_answered_first() -> None:
    stage = serving(own=BOTH)
    stage.expect("nft .*", on="lb1")
    with vips_elsewhere(stage.scene("lb1")):
        pass
    ran = stage.ran["lb1"]
    assert [line.split()[0] for line in ran] == ["systemctl", "ip", "nft", "systemctl", "systemctl"]
    assert "198.18.0.100, 198.18.0.101" in ran[2]
    assert not stage.notes


def test_without_nft_the_hand_over_goes_on_and_says_so() -> None:
    stage = serving(own=BOTH)
    stage.expect("nft .*", exit_code=127, on="lb1")
    with vips_elsewhere(stage.scene("lb1")):
        assert stage.ran["lb1"][-1] == STOP
    assert "requests that are under way" in stage.notes[0]


def test_one_that_does_not_run_has_nothing_to_hand_over() -> None:
    stage = Stage(TIER)
    stage.expect("systemctl is-active .*", exit_code=3, on="lb1")
    with vips_elsewhere(stage.scene("lb1")):
        pass
    assert stage.ran == {"lb1": [ACTIVE]}


def test_without_another_that_is_fit_nothing_is_begun() -> None:
    stage = Stage(TIER)
    stage.expect("systemctl is-active .*", on="lb1")
    stage.expect("systemctl is-active .*", exit_code=1, on="lb2")
    with pytest.raises(CheckFailed, match="no other host would take"), vips_elsewhere(stage.scene("lb1")):
        raise AssertionError("the work was begun")
    assert stage.ran["lb1"] == [ACTIVE]


def test_what_is_not_taken_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "TAKEN_SECONDS", 0.0)
    stage = serving(BOTH.splitlines(keepends=True)[0])
    with pytest.raises(CheckFailed, match="has taken all virtual IPs"), vips_elsewhere(stage.scene("lb1")):
        raise AssertionError("the work was begun")
    assert stage.ran["lb1"] == [ACTIVE, SHOW, STOP, START]


def test_after_a_failure_it_takes_none() -> None:
    stage = serving()
    with pytest.raises(CommandFailed, match="could not restart it"), vips_elsewhere(stage.scene("lb1")):
        raise BROKEN
    assert stage.ran["lb1"] == [ACTIVE, SHOW, STOP]


def test_a_single_one_has_nobody_to_hand_over_to() -> None:
    stage = Stage(replace(TIER, hosts=tuple(host for host in TIER.hosts if host.name != "lb2")))
    with vips_elsewhere(stage.scene("lb1")):
        pass
    assert stage.ran == {}


def test_control_plane_hosts_hand_the_endpoints_over() -> None:
    stage = Stage(TOPOLOGIES["vip"])
    stage.expect("systemctl (is-active|stop|start) .*")
    stage.expect(SHOW, BOTH, on="cp2")
    stage.expect(SHOW, NONE)
    with vips_elsewhere(stage.scene("cp1")):
        assert set(stage.ran) == {"cp1", "cp2", "cp3"}


def test_other_hosts_have_no_virtual_ip_of_the_tier() -> None:
    stage = Stage(TIER)
    with vips_elsewhere(stage.scene("cp1")):
        pass
    assert stage.ran == {}
