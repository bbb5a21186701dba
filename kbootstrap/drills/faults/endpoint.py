"""The endpoint's own parts end on the host that holds the VIP, or the VIP is handed over."""

from collections.abc import Callable

from kbootstrap.components import edge as edge_proxy
from kbootstrap.components import keepalived, nginx
from kbootstrap.components.handover import turn_away
from kbootstrap.drills.drill import Await, Drill, Fault, Rule
from kbootstrap.drills.faults.holder import replaceable_holder
from kbootstrap.drills.faults.units import start, stopped
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.measure import NEW, READS, WRITES, edge, outage, reached, unbroken
from kbootstrap.drills.needs import applications, proxied_vip, vip
from kbootstrap.model.cluster import Cluster

ELSEWHERE = "another host holds the VIP"
GO_ON = "open connections go on"
HAND_OVER_SECONDS = 0.5


def _elsewhere(ground: Ground) -> str | None:
    holders = ground.holders - {ground.holder.name}
    return f"{', '.join(holders)} has the VIP" if holders else None


KEEPALIVED = Drill(
    name="keepalived-stop",
    title="keepalived is stopped on the host that holds the VIP",
    budget=lambda cluster: (outage("requests", 1, *READS, *WRITES), *edge(cluster, 1)),
    prepare=lambda ground: stopped(keepalived.UNIT, replaceable_holder(ground)),
    needs=vip,
)


def _proxy_stop(name: str, title: str, unit: str, needs: Callable[[Cluster], str | None]) -> Drill:
    """One of the proxies ends; the host gives up its VIPs with either, so users of both feel it."""
    return Drill(
        name=name,
        title=title,
        budget=lambda cluster: (outage("requests", 2, *READS, *WRITES), *edge(cluster, 2)),
        prepare=lambda ground: stopped(unit, replaceable_holder(ground), seconds=12.0),
        needs=needs,
    )


NGINX = _proxy_stop("nginx-stop", "The proxy is stopped on the host that holds the VIP", nginx.UNIT, proxied_vip)

EDGE = _proxy_stop(
    "edge-stop",
    "The proxy of the applications is stopped on the load balancer that holds the VIP",
    edge_proxy.UNIT,
    applications,
)


def _handed_over(ground: Ground) -> Fault:
    """As before planned work. Whoever is started anew does not take the VIP back."""
    host = replaceable_holder(ground).name
    return Fault(
        title=f"{host} hands the VIP over",
        hosts=(host,),
        strike={host: f"{turn_away(ground.cluster.vips)}\nsystemctl restart --no-block {keepalived.UNIT}"},
        undo={host: start(keepalived.UNIT)},
    )


def _hand_over_budget(cluster: Cluster) -> tuple[Rule, ...]:
    """Load balancers tell each other of connections where LVS forwards them; those through an Nginx end with it."""
    elsewhere = reached(ELSEWHERE, 5)
    if not cluster.load_balancers:
        return (outage("requests", HAND_OVER_SECONDS, *READS, *WRITES), elsewhere)
    named = edge(cluster, HAND_OVER_SECONDS)
    if cluster.lvs is None or not cluster.lvs.connection_sync:
        return (outage("new connections", HAND_OVER_SECONDS, *NEW), *named, elsewhere)
    return (outage("requests", HAND_OVER_SECONDS, *READS, *WRITES), *named, elsewhere, unbroken(GO_ON))


HAND_OVER = Drill(
    name="vip-handover",
    title="The VIP is handed over, as before planned work",
    budget=_hand_over_budget,
    prepare=_handed_over,
    awaits=lambda _cluster: (Await(ELSEWHERE, 10, _elsewhere),),
    needs=vip,
)
