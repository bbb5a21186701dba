"""A control-plane host without the VIP is lost: with its apiserver, its etcd member, and whoever leads there.

With virtual IPs on control-plane hosts the loss of their holder is `vip-holder-power-off` and `partition`. What these
drills show is how proxies, real servers and clients part from an apiserver that is silent all at once.
"""

from kbootstrap.drills.drill import Drill, Rule
from kbootstrap.drills.faults.partition import cut_off
from kbootstrap.drills.faults.power import off
from kbootstrap.drills.faults.real_server import OUT_SECONDS
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.guards import NotPossible
from kbootstrap.drills.measure import READS, WRITES, edge, longest_wait, outage
from kbootstrap.drills.needs import power, quorum_to_spare, several_control_planes
from kbootstrap.model.cluster import Cluster, Host

LOST_SECONDS = 15.0
HANGS = "a read under way"
HANGS_SECONDS = 4.0
"""A host that takes no connections is noticed within 3.3 s, and who waits there is hung up on (components/endpoint).

Of writes nothing is said: what was on its way to the etcd member that led is lost, and who sent it hears so when etcd
itself gives up, after 5 s and two election timeouts (etcd's `ReqTimeout`).
"""


def _victim(ground: Ground) -> Host:
    """Where etcd's leader is, if that host can be lost without the endpoint."""
    cluster = ground.cluster
    needed = {*ground.status.vip_holders} if cluster.vip_hosts else {_entrance(cluster)}
    others = [host for host in cluster.control_planes if host.name not in needed]
    if not others:
        raise NotPossible("every control-plane host is needed to reach the API")
    return ground.etcd_leader if ground.etcd_leader in others else others[0]


def _entrance(cluster: Cluster) -> str:
    """Who is asked for the API from outside the cluster, where it has no virtual IP."""
    return next((host.name for host in cluster.hosts if str(host.address) == cluster.endpoint_host), "")


def _needs(cluster: Cluster) -> str | None:
    return several_control_planes(cluster) or quorum_to_spare(cluster)


def _budget(cluster: Cluster) -> tuple[Rule, ...]:
    """LVS forwards to it until it is out of the table; Nginx passes over who takes no connection within a second."""
    reads, writes = (OUT_SECONDS, OUT_SECONDS) if cluster.lvs is not None else (3.0, 5.0)
    felt = (outage("reads", reads, *READS), outage("writes", writes, *WRITES), *edge(cluster, reads))
    return felt if cluster.lvs is not None else (*felt, longest_wait(HANGS, HANGS_SECONDS, "api-kept"))


POWER_OFF = Drill(
    name="control-plane-power-off",
    title="A control-plane host without the VIP loses its power",
    budget=_budget,
    prepare=lambda ground: off(ground, _victim(ground).name, seconds=LOST_SECONDS),
    needs=lambda cluster: power(cluster) or _needs(cluster),
)

PARTITION = Drill(
    name="control-plane-partition",
    title="A control-plane host without the VIP is cut off the network",
    budget=_budget,
    prepare=lambda ground: cut_off(ground, _victim(ground), "both"),
    needs=_needs,
)
