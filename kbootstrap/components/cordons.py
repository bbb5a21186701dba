"""Nodes that a run has cordoned and, being cut short, not uncordoned."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kbootstrap.components.addons import is_first
from kbootstrap.components.kubectl import kubectl
from kbootstrap.components.node_labels import ClusterNodes
from kbootstrap.components.site import Site
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.steps.step import Change, Paths, Step, fingerprint, quote

CORDONED = "kbootstrap.io/cordoned"
"""Annotation of a node that we cordoned: the run that did. A cordon without it is somebody else's."""


def cordon(node: str, run: str) -> str:
    """Shell that keeps new pods from a node, with the mark of the run that does."""
    return _patch(node, run, unschedulable=True)


def uncordon(node: str) -> str:
    """Shell that lets a node take pods again, and takes the mark away."""
    return _patch(node, None, unschedulable=None)


def _patch(node: str, run: str | None, *, unschedulable: bool | None) -> str:
    patch = {"metadata": {"annotations": {CORDONED: run}}, "spec": {"unschedulable": unschedulable}}
    return kubectl(f"patch node {quote(node)} --type=merge --patch={quote(json.dumps(patch))} >/dev/null")


@dataclass(frozen=True, slots=True)
class Uncordoned:
    """A node that takes pods again, if it was one of our runs that cordoned it."""

    node: str

    def needs(self) -> Sequence[Fact[Any]]:
        return (ClusterNodes(),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        node = seen[ClusterNodes()].get(self.node)
        run = node.annotations.get(CORDONED) if node else None
        if not run:
            return None
        return Change(
            title=f"uncordon {self.node}",
            script=uncordon(self.node),
            fingerprint=fingerprint("uncordoned", self.node),
            diff=f"run {run} cordoned it and was cut short",
        )


def cordons(site: Site) -> list[Step]:
    """No node is cordoned by a run that has ended. Applied from the first control-plane host."""
    if not is_first(site):
        return []
    return [Uncordoned(node.name) for node in site.cluster.nodes if site.limit is None or node.name in site.limit]
