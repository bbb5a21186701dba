"""Hosts that have nothing yet, for steps that want to know."""

from typing import Any

from kbootstrap.components.images import ImportedImages
from kbootstrap.components.manifests import ManagedObjects
from kbootstrap.components.node_labels import ClusterNodes
from kbootstrap.facts.binaries import NOT_DELIVERED, Delivered
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.guard import Guard
from kbootstrap.facts.ipvs import VirtualServers
from kbootstrap.facts.packages import InstalledPackages
from kbootstrap.facts.paths import ABSENT, PathState
from kbootstrap.facts.sysctls import SysctlValue
from kbootstrap.facts.units import NO_UNIT, UnitState
from kbootstrap.steps.step import Step

_NOTHING: dict[type[Fact[Any]], object] = {
    PathState: ABSENT,
    Delivered: NOT_DELIVERED,
    Guard: False,
    InstalledPackages: {},
    SysctlValue: None,
    UnitState: NO_UNIT,
    VirtualServers: (),
    ImportedImages: {},
    ManagedObjects: {},
    ClusterNodes: {},
}


def bare(steps: list[Step]) -> Facts:
    """What a bare host answers to everything that the steps ask."""
    return Facts({fact: _NOTHING[type(fact)] for step in steps for fact in step.needs()})
