"""A host is cut off the network, in both directions or in one; here the one that holds the VIP.

Only the SSH connection that the drill itself uses goes on, so that what the host does meanwhile can be seen. ARP is cut
too: a switch that loses a host loses that as well.
"""

from ipaddress import IPv4Address
from typing import Literal

from kbootstrap.drills.drill import Await, Drill, Fault
from kbootstrap.drills.faults.holder import replaceable_holder
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.guards import NotPossible
from kbootstrap.drills.measure import READS, WRITES, edge, outage, reached
from kbootstrap.drills.needs import holder_to_spare
from kbootstrap.facts.fact import read
from kbootstrap.facts.identity import Identity
from kbootstrap.model.cluster import Host

Direction = Literal["both", "inbound", "outbound"]

TABLE = "kbootstrap_drill"
"""Everything that is cut, and nothing else."""

WATCHED_SECONDS = 15.0
CUT_SECONDS = 3.0
HOLDER = "one VIP holder, on the majority's side"
HOLDER_SECONDS = 20.0
"""Until then the host that is cut off has noticed it; nobody reaches it anyway."""


def cut(direction: Direction, interface: str, vip: IPv4Address | None, client: str, port: int) -> str:
    """Rules of nft's that cut a host off. `client` and `port` are the two ends of our own connection, whose ARP goes
    on, but not about the VIP.
    """
    hooks = {"both": ("ingress", "egress"), "inbound": ("ingress",), "outbound": ("egress",)}[direction]
    chains = "".join(_chain(hook, interface, vip, client, port) for hook in hooks)
    return f"table netdev {TABLE} {{\n{chains}}}\n"


def _chain(hook: str, interface: str, vip: IPv4Address | None, client: str, port: int) -> str:
    """What is not accepted is dropped, whoever has sent it: keepalived's own ARP does not go through the IP stack."""
    theirs, own, end = ("saddr", "daddr", "dport") if hook == "ingress" else ("daddr", "saddr", "sport")
    rules = (
        f"ip {theirs} {client} tcp {end} {port} accept",
        *((f"arp {own} ip {vip} drop",) if vip else ()),
        f"arp {theirs} ip {client} accept",
    )
    lines = "".join(f"    {rule}\n" for rule in rules)
    return f"""\
  chain {hook} {{
    type filter hook {hook} device "{interface}" priority -500; policy drop;
{lines}  }}
"""


def _nft(rules: str, options: str = "") -> str:
    return f"nft {options}--file - <<'END_OF_RULES'\n{rules}END_OF_RULES"


JOINED = f"nft delete table netdev {TABLE} 2>/dev/null || true"
"""Shell that lets everything pass again."""


def cut_off(ground: Ground, host: Host, direction: Direction) -> Fault:
    """The fault that cuts this host off. Raises NotPossible where its kernel cannot, or if our way to it is unknown."""
    seen = read(ground.connections[host.name], (Identity(),))[Identity()]
    interface = seen.interface_of(host.address)
    if interface is None:
        raise NotPossible(f"no interface of {host.name} has the address {host.address}")
    if not seen.ssh_client:
        raise NotPossible(f"{host.name} cannot tell where this SSH session comes from, and it must not be cut")
    rules = cut(direction, interface.name, ground.cluster.settings.endpoint.vip, seen.ssh_client, seen.ssh_port)
    said = ground.connections[host.name].run_script(_nft(rules, "--check "))
    if not said.ok:  # the egress hook came with Linux 5.16
        raise NotPossible(f"{host.name} (Linux {seen.kernel}) cannot be cut off with nft: {said.errors}")
    how = {"both": "cut off the network", "inbound": "receives nothing", "outbound": "can send nothing"}[direction]
    return Fault(
        title=f"{host.name} is {how}" if direction == "both" else f"{host.name} {how}",
        hosts=(host.name,),
        strike={host.name: f"{JOINED}\n{_nft(rules)}"},
        undo={host.name: JOINED},
        seconds=WATCHED_SECONDS,
    )


def _one_holder(ground: Ground) -> str | None:
    """Of the hosts that can be heard, the one that is cut off among them."""
    former: Host = ground.holder
    if len(ground.holders) != 1 or former.name in ground.holders:
        return None
    return f"only {next(iter(ground.holders))} has the VIP"


def _drill(name: str, title: str, direction: Direction) -> Drill:
    return Drill(
        name=name,
        title=title,
        budget=lambda cluster: (
            outage("reads", CUT_SECONDS, *READS),
            outage("writes", CUT_SECONDS, *WRITES),
            *edge(cluster, CUT_SECONDS),
            reached(HOLDER, HOLDER_SECONDS),
        ),
        prepare=lambda ground: cut_off(ground, replaceable_holder(ground), direction),
        awaits=lambda _cluster: (Await(HOLDER, HOLDER_SECONDS, _one_holder),),
        needs=holder_to_spare,
    )


BOTH = _drill("partition", "The host that holds the VIP is cut off the network", "both")
INBOUND = _drill("partition-inbound", "The host that holds the VIP receives nothing any more", "inbound")
OUTBOUND = _drill("partition-outbound", "The host that holds the VIP can send nothing any more", "outbound")
