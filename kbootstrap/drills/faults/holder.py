"""The host that holds the VIP, which is about to be lost."""

from kbootstrap.drills.ground import Ground
from kbootstrap.drills.guards import Refused
from kbootstrap.model.cluster import Host
from kbootstrap.workflows.guards.addresses import anybody_fit


def replaceable_holder(ground: Ground) -> Host:
    """Who holds the VIP, when another host would take it now: the same is asked before a holder is booted anew.

    Raises NotPossible where nobody holds it, and Refused where nobody else would.
    """
    holder = ground.holder
    others = [host for host in ground.cluster.vip_hosts if host != holder]
    if not anybody_fit(ground.lit(others)):
        raise Refused(
            f"no other host would take the VIP from {holder.name}",
            [f"{host.name}: keepalived does not run, or one of its checks fails" for host in others],
            hint="`kbootstrap status` says what is wrong with them",
        )
    return holder
