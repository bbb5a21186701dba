"""Cordons that a run has left, and boots."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kbootstrap.components.binaries import KUBECTL
from kbootstrap.components.cordons import CORDONED, Uncordoned, cordons
from kbootstrap.components.node_labels import ClusterNodes, NodeMarks
from kbootstrap.components.reboot import reboot
from kbootstrap.facts.fact import Facts
from kbootstrap.steps.reboot import Reboot
from tests.golden.sites import TOPOLOGIES, site
from tests.local_host import shell

VIP = TOPOLOGIES["vip"]


def test_the_first_control_plane_host_looks_after_every_node() -> None:
    assert cordons(site(VIP, "cp1")) == [Uncordoned(name) for name in ("cp1", "cp2", "cp3", "w1")]
    assert cordons(site(VIP, "cp2")) == cordons(site(VIP, "w1")) == []
    assert Uncordoned("etcd1") not in cordons(site(TOPOLOGIES["external-etcd"], "cp1"))


def test_a_limited_run_leaves_the_nodes_of_others_alone() -> None:
    assert cordons(replace(site(VIP, "cp1"), limit=frozenset({"cp1", "w1"}))) == [Uncordoned("cp1"), Uncordoned("w1")]


@pytest.mark.parametrize(
    ("annotations", "due"),
    [({CORDONED: "20261121-064233-ab12"}, True), ({CORDONED: ""}, False), ({"other": "x"}, False), ({}, False)],
)
def test_only_our_cordons_are_lifted(annotations: dict[str, str], due: bool) -> None:
    seen = Facts({ClusterNodes(): {"w1": NodeMarks({}, frozenset(), annotations)}})
    assert (Uncordoned("w1").diff(seen, frozenset()) is not None) == due
    assert Uncordoned("w2").diff(seen, frozenset()) is None


def test_the_patch_takes_away_mark_and_cordon_together(tmp_path: Path) -> None:
    seen = Facts({ClusterNodes(): {"w1": NodeMarks({}, frozenset(), {CORDONED: "20261121-064233-ab12"})}})
    change = Uncordoned("w1").diff(seen, frozenset())
    assert change is not None
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done >"${0%kubectl}said"\n')
    kubectl.chmod(0o755)
    assert shell(change.script.replace(str(KUBECTL.program()), str(kubectl)), "-eu").ok
    words = (tmp_path / "said").read_text().splitlines()
    assert words[-5:-1] == ["patch", "node", "w1", "--type=merge"]
    patch = json.loads(words[-1].removeprefix("--patch="))
    assert patch == {"metadata": {"annotations": {CORDONED: None}}, "spec": {"unschedulable": None}}


def test_one_boot() -> None:
    assert reboot(site(VIP, "w1")) == [Reboot()]
