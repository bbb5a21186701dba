"""The cluster's own keys: read back from the control-plane hosts, made anew only for a cluster that does not exist."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.paths import PathState
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.pki.authority import Pki


def key_facts(host: Host) -> Sequence[Fact[Any]]:
    """What must be read from a host to find the cluster's keys, or the remains of a cluster without them."""
    raise NotImplementedError


def recover_keys(cluster: Cluster, facts: Mapping[str, Facts], now: datetime) -> Pki:
    """The cluster's keys."""
    raise NotImplementedError
