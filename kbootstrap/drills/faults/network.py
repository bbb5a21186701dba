"""A bad network between the etcd member that leads and the others: packets are lost, or late."""

from kbootstrap.components import etcd
from kbootstrap.drills.drill import Drill, Fault
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.guards import NotPossible
from kbootstrap.drills.measure import READS, WRITES, outage
from kbootstrap.drills.needs import quorum_to_spare
from kbootstrap.facts.fact import read
from kbootstrap.facts.identity import Identity
from kbootstrap.model.cluster import Host

TABLE = "kbootstrap_drill_loss"

LOST_PERCENT = 10
"""In each direction: far worse than a network that anybody would call one."""
DELAY_MS = 60
"""In each direction, about that of one coast to another; the election timeout bears it (see docs/drills.md)."""
JITTER_MS = 10

BAD_SECONDS = 15.0


def losing(peers: list[str], port: int) -> str:
    """Shell that loses packets to and from etcd's other members."""
    who, chance = ", ".join(peers), f"numgen random mod 100 < {LOST_PERCENT} drop"
    return f"""\
nft --file - <<'END_OF_RULES'
table ip {TABLE} {{
  chain inbound {{
    type filter hook prerouting priority -500;
    ip saddr {{ {who} }} tcp dport {port} {chance}
    ip saddr {{ {who} }} tcp sport {port} {chance}
  }}
  chain outbound {{
    type filter hook postrouting priority 500;
    ip daddr {{ {who} }} tcp dport {port} {chance}
    ip daddr {{ {who} }} tcp sport {port} {chance}
  }}
}}
END_OF_RULES"""


KEEPING = f"nft delete table ip {TABLE} 2>/dev/null || true"
"""Shell that loses nothing any more."""


def _loss(ground: Ground) -> Fault:
    leader = ground.etcd_leader
    if not ground.connections[leader.name].run("command -v nft").ok:
        raise NotPossible(f"{leader.name} has no nft")
    peers = [str(member.address) for member in ground.cluster.etcd_members if member != leader]
    return Fault(
        title=f"{LOST_PERCENT} % of the packets between etcd on {leader.name} and the other members are lost",
        hosts=(leader.name,),
        strike={leader.name: f"{KEEPING}\n{losing(peers, etcd.PEER_PORT)}"},
        undo={leader.name: KEEPING},
        seconds=BAD_SECONDS,
    )


def _delay(ground: Ground) -> Fault:
    leader = ground.etcd_leader
    interface = _interface(ground, leader)
    return Fault(
        title=f"everything that {leader.name} sends is late by {DELAY_MS} ms",
        hosts=(leader.name,),
        strike={leader.name: f"tc qdisc replace dev {interface} root netem delay {DELAY_MS}ms {JITTER_MS}ms"},
        undo={leader.name: f"tc qdisc delete dev {interface} root 2>/dev/null || true"},
        seconds=BAD_SECONDS,
    )


def _interface(ground: Ground, host: Host) -> str:
    """The host's own; its kernel must be able to delay, and nobody else may have given it a queue of his own."""
    connection = ground.connections[host.name]
    found = read(connection, (Identity(),))[Identity()].interface_of(host.address)
    if found is None:
        raise NotPossible(f"no interface of {host.name} has the address {host.address}")
    # A delay of nothing at all on the loopback tells whether the kernel knows netem.
    said = connection.run("tc qdisc add dev lo root netem delay 0ms && tc qdisc delete dev lo root")
    if not said.ok:
        raise NotPossible(f"the kernel of {host.name} cannot delay packets: {said.errors or said.text}")
    queue = connection.run(f"tc qdisc show dev {found.name} root").text
    if queue and not any(kind in queue for kind in ("noqueue", "fq_codel", "pfifo_fast", " mq ")):
        raise NotPossible(f"{found.name} of {host.name} has a queue of its own already: {queue}")
    return found.name


LOSS = Drill(
    name="network-loss",
    title="The network between etcd's leader and the other members loses packets",
    budget=lambda _cluster: (outage("reads", 2, *READS), outage("writes", 2, *WRITES)),
    prepare=_loss,
    needs=quorum_to_spare,
)

DELAY = Drill(
    name="network-delay",
    title="The network of the host whose etcd member leads is slow",
    budget=lambda _cluster: (outage("reads", 2, *READS), outage("writes", 2, *WRITES)),
    prepare=_delay,
    needs=quorum_to_spare,
)
