"""The etcd member that leads is killed."""

from kbootstrap.components.etcd import UNIT
from kbootstrap.drills.drill import Drill
from kbootstrap.drills.faults.units import killed
from kbootstrap.drills.measure import READS, WRITES, outage
from kbootstrap.drills.needs import quorum_to_spare

LEADER_KILL = Drill(
    name="etcd-leader-kill",
    title="The etcd member that leads is killed",
    budget=lambda _cluster: (outage("writes", 2, *WRITES), outage("reads", 2, *READS)),
    prepare=lambda ground: killed(UNIT, ground.etcd_leader, seconds=10.0),
    needs=quorum_to_spare,
)
