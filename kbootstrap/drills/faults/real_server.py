"""The proxy of a control-plane host dies to which load balancers forward by LVS, and does not come back."""

from kbootstrap.components import nginx
from kbootstrap.drills.drill import Await, Drill, Fault
from kbootstrap.drills.faults.units import killed_for_good
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.measure import NEW, outage, reached
from kbootstrap.drills.needs import real_servers
from kbootstrap.drills.result import Kind
from kbootstrap.facts.fact import read
from kbootstrap.facts.ipvs import VirtualServers
from kbootstrap.workflows.balancing import forwarded, not_forwarded_to

OUT = "no load balancer forwards to it"
OUT_SECONDS = 5.0
"""keepalived asks every second, twice, and waits a second for an answer (see `components/keepalived.py`)."""

PATIENCE = 15.0


def _out(ground: Ground) -> str | None:
    """Whether it is in no load balancer's table any more."""
    directors = ground.lit(ground.cluster.load_balancers)
    tables = ground.on(tuple(directors), lambda _name, host: read(host, (VirtualServers(),)))
    for one in not_forwarded_to(ground.cluster, forwarded(ground.cluster, tables)):
        if one.server in ground.hurt and set(one.hosts) == set(directors):
            return f"{', '.join(one.hosts)}: {one.server} is out of the table"
    return None


def _killed(ground: Ground) -> Fault:
    return killed_for_good(nginx.UNIT, ground.cluster.control_planes[0], seconds=12.0)


KILL = Drill(
    name="real-server-kill",
    title="The proxy to which LVS forwards on a control-plane host is killed",
    budget=lambda _cluster: (outage("new connections", OUT_SECONDS, *NEW), reached(OUT, OUT_SECONDS)),
    prepare=_killed,
    awaits=lambda _cluster: (Await(OUT, PATIENCE, _out, Kind.DETECTED),),
    needs=real_servers,
)
