"""Out of every proxy's list, and in again; or stopped meanwhile, for the sake of its etcd member."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kbootstrap.errors import CommandFailed
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.settings import Timeouts
from kbootstrap.workflows.guards import balancers
from kbootstrap.workflows.guards.balancers import apiserver_away, out_of_balancers
from tests.golden.sites import TOPOLOGIES
from tests.unit.workflows.guards.stage import BROKEN, Stage

VIP, LOCAL = TOPOLOGIES["vip"], TOPOLOGIES["local"]
READY = "curl .*https://198.18.0.1[123]:6443/readyz"
PROGRAM = "/opt/kbootstrap/libexec/kube-endpoint"
OUT = f"[ ! -x {PROGRAM} ] || {PROGRAM} out 198.18.0.11 900"
IN = f"[ ! -x {PROGRAM} ] || {PROGRAM} in 198.18.0.11 120"
ACTIVE = "systemctl is-active --quiet kube-apiserver.service"
STOP = "systemctl stop kube-apiserver.service"
START = "systemctl start kube-apiserver.service"
CONTROL_PLANE = ["cp1", "cp2", "cp3"]


def serving(cluster: Cluster = VIP, names: Sequence[str] = ()) -> Stage:
    """All is well, and everything that a guard may ask for works."""
    stage = Stage(cluster, names)
    stage.expect(READY)
    stage.expect(".*kube-endpoint (out|in) .*")
    stage.expect("systemctl (is-active --quiet|stop|start) kube-apiserver.service")
    return stage


def told(stage: Stage) -> dict[str, list[str]]:
    """What each proxy was told."""
    found = {name: [line for line in lines if "kube-endpoint" in line] for name, lines in stage.ran.items()}
    return {name: lines for name, lines in found.items() if lines}


def test_out_of_all_proxies_and_in_again() -> None:
    stage = serving()
    with out_of_balancers(stage.scene("cp1")):
        assert told(stage) == {name: [OUT] for name in CONTROL_PLANE}
    assert told(stage) == {name: [OUT, IN] for name in CONTROL_PLANE}


def test_where_every_node_has_a_proxy_every_node_is_told() -> None:
    stage = serving(LOCAL)
    with out_of_balancers(stage.scene("cp1")):
        assert set(told(stage)) == {"cp1", "cp2", "cp3", "w1", "w2"}


def test_load_balancers_of_the_cluster_s_own_are_told() -> None:
    stage = serving(TOPOLOGIES["load-balancers"])
    with out_of_balancers(stage.scene("cp1")):
        assert told(stage) == {name: [OUT] for name in ("lb1", "lb2")}
    assert told(stage) == {name: [OUT, IN] for name in ("lb1", "lb2")}


def test_proxies_of_others_are_not_ours_to_tell() -> None:
    stage = serving(TOPOLOGIES["external-endpoint"])
    with out_of_balancers(stage.scene("cp1")):
        pass
    assert told(stage) == {}


def test_only_who_is_connected_is_told() -> None:
    stage = serving(names=["cp1", "cp3"])
    with out_of_balancers(stage.scene("cp1")):
        pass
    assert set(told(stage)) == {"cp1", "cp3"}


def test_after_a_failure_it_stays_out() -> None:
    stage = serving()
    with pytest.raises(CommandFailed, match="could not restart it"), out_of_balancers(stage.scene("cp1")):
        raise BROKEN
    assert told(stage) == {name: [OUT] for name in CONTROL_PLANE}


def test_out_of_some_lists_only_is_in_again_and_nothing_was_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancers, "OTHERS_SECONDS", 0.0)
    stage = Stage(VIP)
    stage.expect(READY)
    stage.expect(".* out .*", exit_code=1, stderr="198.18.0.11 stays in: no other apiserver is in and ready", on="cp3")
    stage.expect(".*kube-endpoint .*")
    with pytest.raises(CommandFailed) as caught, out_of_balancers(stage.scene("cp1")):
        raise AssertionError("the work was begun")
    assert (caught.value.host, caught.value.message) == ("cp3", "could not take the apiserver out of the proxy's list")
    assert "no other apiserver is in and ready" in (caught.value.output or "")
    assert told(stage) == {name: [OUT, IN] for name in CONTROL_PLANE}


def test_one_that_does_not_come_back_into_a_list_is_an_error() -> None:
    stage = Stage(VIP)
    stage.expect(READY)
    stage.expect(".* in .*", exit_code=1, stderr="198.18.0.11 is not in: no 3 good answers in a row", on="cp2")
    stage.expect(".*kube-endpoint .*")
    with pytest.raises(CommandFailed, match="did not come back") as caught, out_of_balancers(stage.scene("cp1")):
        pass
    assert caught.value.host == "cp2"


def test_one_that_serves_nobody_is_not_taken_out() -> None:
    stage = Stage(VIP)
    stage.expect(READY, exit_code=22, on="cp1")
    with out_of_balancers(stage.scene("cp1")):
        pass
    assert list(stage.ran) == ["cp1"]


def test_a_single_apiserver_has_nobody_to_take_over() -> None:
    single = replace(VIP, hosts=tuple(host for host in VIP.hosts if host.name in ("cp1", "w1")))
    stage = Stage(single)
    with out_of_balancers(stage.scene("cp1")):
        pass
    assert stage.ran == {}


@pytest.mark.parametrize("guard", [out_of_balancers, apiserver_away])
def test_a_worker_has_no_apiserver(guard: object) -> None:
    stage = Stage(VIP)
    with guard(stage.scene("w1")):  # type: ignore[operator]
        pass
    assert stage.ran == {}


def test_deadlines_are_scaled() -> None:
    slow = replace(VIP, settings=VIP.settings.model_copy(update={"timeouts": Timeouts(scale=2)}))
    stage = serving(slow)
    with out_of_balancers(stage.scene("cp1")):
        pass
    assert told(stage)["cp2"] == [OUT.replace("900", "1800"), IN.replace("120", "240")]


def test_an_apiserver_is_stopped_while_its_etcd_is_worked_on() -> None:
    stage = serving()
    with apiserver_away(stage.scene("cp1")):
        assert stage.hosts["cp1"].commands[-1] == STOP
        assert told(stage) == {name: [OUT] for name in CONTROL_PLANE}
    commands = [line for line in stage.hosts["cp1"].commands if not line.startswith("curl")]
    assert commands == [ACTIVE, OUT, STOP, START, IN]
    assert [line for name in ("cp2", "cp3") for line in stage.hosts[name].commands] == [OUT, IN] * 2


def test_work_that_fails_leaves_it_stopped_and_out() -> None:
    stage = serving()
    with pytest.raises(CommandFailed, match="could not restart it"), apiserver_away(stage.scene("cp1")):
        raise BROKEN
    assert stage.hosts["cp1"].commands[-1] == STOP
    assert told(stage) == {name: [OUT] for name in CONTROL_PLANE}


def test_one_that_does_not_run_is_not_started_either() -> None:
    """None is installed yet (a run was cut short), or it does not start: etcd is worked on all the same."""
    stage = Stage(VIP)
    stage.expect(ACTIVE, exit_code=4, on="cp1")
    with apiserver_away(stage.scene("cp1")):
        pass
    assert stage.ran == {"cp1": [ACTIVE]}


def test_one_that_cannot_be_stopped() -> None:
    stage = Stage(VIP)
    stage.expect(STOP, exit_code=1, stderr="Job for kube-apiserver.service canceled.", on="cp1")
    stage.expect(".*")
    with pytest.raises(CommandFailed, match="could not stop the apiserver"), apiserver_away(stage.scene("cp1")):
        raise AssertionError("the work was begun")


def test_one_that_does_not_start_again_stays_out() -> None:
    stage = Stage(VIP)
    stage.expect(START, exit_code=1, on="cp1")
    stage.expect(".*")
    with pytest.raises(CommandFailed, match="could not start the apiserver again"), apiserver_away(stage.scene("cp1")):
        pass
    assert told(stage) == {name: [OUT] for name in CONTROL_PLANE}


@pytest.mark.parametrize("name", ["cp1", "etcd1"])
def test_an_apiserver_that_asks_other_hosts_members_stays(name: str) -> None:
    stage = Stage(TOPOLOGIES["external-etcd"])
    with apiserver_away(stage.scene(name)):
        pass
    assert stage.ran == {}
