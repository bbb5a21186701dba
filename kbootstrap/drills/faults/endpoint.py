"""The endpoint's own parts end on the host that holds the VIP, or the VIP is handed over."""

from kbootstrap.components import keepalived, nginx
from kbootstrap.components.handover import turn_away
from kbootstrap.drills.drill import Await, Drill, Fault
from kbootstrap.drills.faults.units import start, stopped
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.measure import READS, WRITES, outage, reached
from kbootstrap.drills.needs import vip

ELSEWHERE = "another host holds the VIP"


def _elsewhere(ground: Ground) -> str | None:
    holders = ground.holders - {ground.holder.name}
    return f"{', '.join(holders)} has the VIP" if holders else None


KEEPALIVED = Drill(
    name="keepalived-stop",
    title="keepalived is stopped on the host that holds the VIP",
    budget=lambda _cluster: (outage("requests", 1, *READS, *WRITES),),
    prepare=lambda ground: stopped(keepalived.UNIT, ground.holder),
    needs=vip,
)

NGINX = Drill(
    name="nginx-stop",
    title="The proxy is stopped on the host that holds the VIP",
    budget=lambda _cluster: (outage("requests", 2, *READS, *WRITES),),
    prepare=lambda ground: stopped(nginx.UNIT, ground.holder, seconds=12.0),
    needs=vip,
)


def _handed_over(ground: Ground) -> Fault:
    """As before planned work. Whoever is started anew does not take the VIP back."""
    host = ground.holder.name
    return Fault(
        title=f"{host} hands the VIP over",
        hosts=(host,),
        strike={host: f"{turn_away(ground.cluster.vips)}\nsystemctl restart --no-block {keepalived.UNIT}"},
        undo={host: start(keepalived.UNIT)},
    )


HAND_OVER = Drill(
    name="vip-handover",
    title="The VIP is handed over, as before planned work",
    budget=lambda _cluster: (outage("requests", 0.5, *READS, *WRITES), reached(ELSEWHERE, 5)),
    prepare=_handed_over,
    awaits=lambda _cluster: (Await(ELSEWHERE, 10, _elsewhere),),
    needs=vip,
)
