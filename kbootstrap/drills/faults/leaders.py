"""The leading controller-manager or scheduler is killed, and does not come back."""

from kbootstrap.components import kube_controller_manager, kube_scheduler
from kbootstrap.drills.drill import Await, Drill
from kbootstrap.drills.faults.units import killed_for_good
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.measure import reached
from kbootstrap.drills.needs import several_control_planes
from kbootstrap.drills.result import Kind

LEADS_SECONDS = 20.0
"""The lease, and the time between two tries: 16.4 s (components/leases.py), and what a busy cluster needs."""

PATIENCE = 40.0


def _drill(unit: str, name: str) -> Drill:
    daemon = unit.removesuffix(".service")
    what = f"another {daemon} leads"

    def leads(ground: Ground) -> str | None:
        victim = ground.leader_of(unit).name
        for moment in ground.chronicle.moments():
            if moment.kind is Kind.LEADER and moment.host != victim and moment.text.startswith(f"{daemon} "):
                return f"{daemon} leads on {moment.host}"
        return None

    return Drill(
        name=name,
        title=f"The leading {daemon} is killed",
        budget=lambda _cluster: (reached(what, LEADS_SECONDS),),
        prepare=lambda ground: killed_for_good(unit, ground.leader_of(unit)),
        awaits=lambda _cluster: (Await(what, PATIENCE, leads),),
        needs=several_control_planes,
    )


CONTROLLER_MANAGER = _drill(kube_controller_manager.UNIT, "controller-manager-kill")
SCHEDULER = _drill(kube_scheduler.UNIT, "scheduler-kill")
