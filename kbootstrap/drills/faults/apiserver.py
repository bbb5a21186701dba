"""An apiserver ends: asked to, or killed."""

from kbootstrap.components.kube_apiserver import UNIT
from kbootstrap.drills.drill import Drill, Fault
from kbootstrap.drills.faults.units import killed, stopped
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.measure import APPLICATION, EDGE, READS, WRITES, outage, unfelt
from kbootstrap.drills.needs import several_control_planes
from kbootstrap.model.cluster import Host

AFTER_STOP_SECONDS = 5.0
"""It serves on for the shutdown delay; what comes after its end is watched so long."""


def _victim(ground: Ground) -> Host:
    """One that does not hold the VIP, where there is one: its proxy is another drill's affair."""
    hosts = ground.cluster.control_planes
    return next((host for host in hosts if host.name not in ground.status.vip_holders), hosts[0])


def _stop(ground: Ground) -> Fault:
    delay = ground.cluster.settings.kube_apiserver.shutdown_delay_seconds
    return stopped(UNIT, _victim(ground), delay + AFTER_STOP_SECONDS)


STOP = Drill(
    name="apiserver-stop",
    title="An apiserver is stopped as for planned work",
    budget=lambda _cluster: (unfelt(*READS, *WRITES, *APPLICATION, *EDGE),),
    prepare=_stop,
    needs=several_control_planes,
)

KILL = Drill(
    name="apiserver-kill",
    title="An apiserver is killed",
    budget=lambda _cluster: (outage("requests", 1, *READS, *WRITES),),
    prepare=lambda ground: killed(UNIT, _victim(ground)),
    needs=several_control_planes,
)
