"""All drills, in the order of a suite: what costs least comes first."""

from kbootstrap.drills.drill import Drill
from kbootstrap.drills.faults import apiserver, endpoint, etcd
from kbootstrap.errors import InvalidInput

DRILLS: tuple[Drill, ...] = (
    apiserver.STOP,
    apiserver.KILL,
    endpoint.KEEPALIVED,
    endpoint.NGINX,
    etcd.LEADER_KILL,
)


def named(names: list[str]) -> tuple[Drill, ...]:
    """The drills of these names, in their order. Raises InvalidInput."""
    known = {drill.name: drill for drill in DRILLS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(f"there is no drill {', '.join(unknown)}", hint=f"there are: {', '.join(known)}")
    return tuple(known[name] for name in names)
