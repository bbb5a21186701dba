"""A control-plane host's disk is full: the one that holds etcd's data."""

from kbootstrap.components import etcd
from kbootstrap.drills.drill import Await, Drill, Fault
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.guards import NotPossible
from kbootstrap.drills.measure import READS, WRITES, outage, reached
from kbootstrap.drills.needs import quorum_to_spare
from kbootstrap.drills.result import Kind
from kbootstrap.drills.steady import status_now
from kbootstrap.transport.connection import Connection

FILLER = etcd.DATA / "filled-by-a-drill"
FILLED_SECONDS = 15.0
REPORTED = "status says so"
REPORTED_SECONDS = 10.0

SHARED = f"""\
findmnt --noheadings --output FSTYPE,FSROOT --target {etcd.DATA} | {{
  read -r kind root
  if systemd-detect-virt --quiet --container && {{ [ "$kind" = overlay ] || [ "$root" != / ]; }}; then
    echo "{etcd.DATA} is a part of a disk that other hosts share ($kind $root)"
  fi
}}"""
"""Shell that says why the file system must not be filled, if it must not."""

FILL = f"""\
free=$(df --block-size=1 --output=avail {etcd.DATA} | tail -n 1)
fallocate --length "$free" {FILLER} 2>/dev/null || true
dd if=/dev/zero of={FILLER} bs=64k oflag=append conv=notrunc status=none 2>/dev/null || true
sync {FILLER}"""
"""To the last block: what was reserved in a great piece, and what is left beside it."""

EMPTIED = f"rm -f {FILLER}"


def _fill(ground: Ground) -> Fault:
    """The first host of a member that follows and has a disk of its own: the loss of a leader is another drill."""
    leader = ground.etcd_leader
    followers = [member for member in ground.cluster.etcd_members if member != leader]
    reasons = {host.name: _shared(ground.connections[host.name]) for host in followers}
    host = next((host for host in followers if not reasons[host.name]), None)
    if host is None:
        raise NotPossible("; ".join(f"{name}: {why}" for name, why in reasons.items()))
    return Fault(
        title=f"the disk of {host.name} with etcd's data is filled",
        hosts=(host.name,),
        strike={host.name: FILL},
        undo={host.name: f"{EMPTIED}\nsystemctl start --no-block {etcd.UNIT}"},
        seconds=FILLED_SECONDS,
    )


def _shared(connection: Connection) -> str:
    """Why the host's disk must not be filled; empty if it may."""
    return connection.run(SHARED).require("the file system cannot be looked at").text


def _reported(ground: Ground) -> str | None:
    """What `status` says of the disk now. Only that host is looked at: a look at all would be an outage of its own."""
    said = status_now(ground.cluster, {host: ground.connections[host] for host in ground.hurt})
    return next((one for one in said for host in ground.hurt if one.startswith(f"{host}: its disk")), None)


FULL = Drill(
    name="disk-full",
    title="The disk with etcd's data is full on a control-plane host",
    budget=lambda _cluster: (
        outage("reads", 5, *READS),
        outage("writes", 5, *WRITES),
        reached(REPORTED, REPORTED_SECONDS),
    ),
    prepare=_fill,
    awaits=lambda _cluster: (Await(REPORTED, REPORTED_SECONDS, _reported, Kind.DETECTED),),
    needs=quorum_to_spare,
)
