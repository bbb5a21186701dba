"""The endpoint's own parts end on the host that holds the VIP, or the VIP is handed over."""

from kbootstrap.components import keepalived, nginx
from kbootstrap.drills.drill import Drill
from kbootstrap.drills.faults.units import stopped
from kbootstrap.drills.measure import READS, WRITES, outage
from kbootstrap.drills.needs import vip

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
