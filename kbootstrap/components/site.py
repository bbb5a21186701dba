"""All that a component may know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.artifacts.releases import ReleaseSet
from kbootstrap.facts.fact import Facts
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.pki.authority import Pki
from kbootstrap.steps.step import Step


@dataclass(frozen=True, slots=True)
class Site:
    """One host of a cluster, as a component sees it.

    `facts` are those read when the host was opened (see facts/identity.py), not those that steps ask for.
    `artifacts` are by name, e.g. "kubelet"; `packages` are the .debs that this host would need from the depot,
    None when it has package sources of its own. `files` are the contents of the files on the control machine that
    the inventory names (registries' authorities and passwords, applications' certificates and keys). `limit` are the
    hosts that this run is about, None when it is about all.
    """

    cluster: Cluster
    host: Host
    facts: Facts
    release: ReleaseSet
    artifacts: Mapping[str, Artifact]
    pki: Pki
    now: datetime
    packages: tuple[Artifact, ...] | None = None
    files: Mapping[Path, bytes] = field(default_factory=dict, repr=False)
    limit: frozenset[str] | None = None


Component = Callable[[Site], list[Step]]
