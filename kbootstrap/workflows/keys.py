"""The cluster's own keys: read back from the control-plane hosts, made anew only for a cluster that does not exist."""

from collections.abc import Mapping
from datetime import datetime

from kbootstrap.facts.fact import Facts
from kbootstrap.facts.pki import gather_pki
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.create import create_pki


def cluster_keys(cluster: Cluster, facts: Mapping[str, Facts], now: datetime) -> Pki:
    """The keys that the hosts have, or new ones. Raises PkiUnusable rather than replacing what a cluster may need."""
    found = gather_pki(cluster, facts, now)
    return found or create_pki(cluster.name, now, cluster.settings.certificates.authority_days)
