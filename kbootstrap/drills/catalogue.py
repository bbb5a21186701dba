"""All drills, in the order of a suite: what costs least comes first."""

from kbootstrap.drills.drill import Drill
from kbootstrap.drills.faults import (
    apiserver,
    control_plane,
    disk,
    endpoint,
    etcd,
    leaders,
    members,
    network,
    partition,
    power,
    real_server,
)
from kbootstrap.errors import InvalidInput

DRILLS: tuple[Drill, ...] = (
    apiserver.STOP,
    apiserver.KILL,
    endpoint.HAND_OVER,
    endpoint.KEEPALIVED,
    endpoint.NGINX,
    endpoint.EDGE,
    real_server.KILL,
    etcd.LEADER_KILL,
    leaders.CONTROLLER_MANAGER,
    leaders.SCHEDULER,
    network.LOSS,
    network.DELAY,
    partition.BOTH,
    partition.INBOUND,
    partition.OUTBOUND,
    control_plane.PARTITION,
    power.VIP_HOLDER,
    control_plane.POWER_OFF,
    power.WORKER,
    disk.FULL,
    members.MEMBER_WIPE,
    power.COLD_RESTART,
    members.QUORUM_LOSS,
)


def named(names: list[str]) -> tuple[Drill, ...]:
    """The drills of these names, in their order. Raises InvalidInput."""
    known = {drill.name: drill for drill in DRILLS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(f"there is no drill {', '.join(unknown)}", hint=f"there are: {', '.join(known)}")
    return tuple(known[name] for name in names)
