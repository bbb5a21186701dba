"""Weight 0 on every director before a control-plane host goes."""

import pytest

from kbootstrap.errors import CommandFailed
from kbootstrap.workflows.guards import forwarding
from kbootstrap.workflows.guards.forwarding import out_of_lvs
from tests.golden.sites import TOPOLOGIES
from tests.unit.workflows.guards.stage import BROKEN, Stage

DR = TOPOLOGIES["lvs-dr"]
LINE = (
    "! ipvsadm --save --numeric | grep -q -- '-a -t 198.18.0.100:6443 -r 198.18.0.12:6443 ' ||"
    " ipvsadm -e -t 198.18.0.100:6443 -r 198.18.0.12:6443 -g -w "
)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "END_SECONDS", 0.0)


def test_every_director_gives_it_no_new_connections_meanwhile() -> None:
    stage = Stage(DR)
    stage.expect(".*ipvsadm.*")
    with out_of_lvs(stage.scene("cp2")):
        assert stage.ran == {"lb1": [f"{LINE}0"], "lb2": [f"{LINE}0"]}
    assert stage.ran == {name: [f"{LINE}0", f"{LINE}100"] for name in ("lb1", "lb2")}


def test_after_a_failure_it_gets_none() -> None:
    stage = Stage(DR)
    stage.expect(".*ipvsadm.*")
    with pytest.raises(CommandFailed), out_of_lvs(stage.scene("cp2")):
        raise BROKEN
    assert stage.ran == {name: [f"{LINE}0"] for name in ("lb1", "lb2")}


@pytest.mark.parametrize(("topology", "name"), [("lvs-dr", "w1"), ("load-balancers", "cp1"), ("vip", "cp1")])
def test_where_lvs_forwards_nothing_nothing_is_done(topology: str, name: str) -> None:
    stage = Stage(TOPOLOGIES[topology])
    with out_of_lvs(stage.scene(name)):
        pass
    assert stage.ran == {}
