"""LVS: the kernel of the director that holds the VIP forwards connections to the proxies of the control-plane hosts.

keepalived keeps the table (see keepalived.py): who is not healthy is not in it. Here is what the hosts on both sides
need, and what to do when somebody else has changed the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any

from kbootstrap.components import endpoint, keepalived, nginx
from kbootstrap.components.service import unit_path
from kbootstrap.components.site import Site
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.ipvs import RealServer, VirtualServer, VirtualServers
from kbootstrap.facts.units import UnitState
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.load_balancer import Lvs
from kbootstrap.render.renderer import render
from kbootstrap.steps.command import Command
from kbootstrap.steps.file import Absent, File
from kbootstrap.steps.step import Change, Paths, Step, fingerprint
from kbootstrap.steps.unit import Unit, UnitAbsent

ADDRESS_UNIT = "kube-endpoint-address.service"
FULL_WEIGHT = keepalived.FULL_WEIGHT
_RULES_ARE_THERE = f"nft list table ip {keepalived.MASQUERADE_TABLE} >/dev/null 2>&1"
_FLAGS = {"dr": "-g", "nat": "-m", "tunnel": "-i"}


@dataclass(frozen=True, slots=True)
class _Address:
    vip: IPv4Address
    device: str


@dataclass(frozen=True, slots=True)
class Table:
    """The director's table is keepalived's: nobody has emptied it, added to it, or left somebody without connections.

    A real server that is missing is one that keepalived has taken out.
    """

    wanted: VirtualServer

    def needs(self) -> Sequence[Fact[Any]]:
        return (VirtualServers(), UnitState(keepalived.UNIT))

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        if seen[UnitState(keepalived.UNIT)].active != "active":
            return None  # keepalived is about to make it
        if not touched.isdisjoint((keepalived.CONFIG, unit_path(keepalived.UNIT))):
            return self._reloaded()
        now = next((one for one in seen[VirtualServers()] if one.address == self.wanted.address), None)
        if now is None or (now.scheduler, now.persistence) != (self.wanted.scheduler, self.wanted.persistence):
            shown = "nothing" if now is None else f"{now.scheduler}, persistence {now.persistence} s"
            return Change(
                title=f"restart {keepalived.UNIT}",
                script=f"systemctl restart {keepalived.UNIT}",
                fingerprint=fingerprint("ipvs", self.wanted),
                diff=f"IPVS forwards {shown} for {self.wanted.address}",
                disrupts=True,
            )
        return self._servers(now)

    def _reloaded(self) -> Change:
        """A keepalived that was started for VRRP alone does not forward anything, whatever it is told to read."""
        found = f"ipvsadm --save --numeric | grep -q -- '-A -t {self.wanted.address} '"
        look = f"for try in 1 2 3 4 5; do ! {found} || exit 0; sleep 0.2; done"
        return Change(
            title=f"see that IPVS forwards {self.wanted.address}",
            script=f"{look}\nsystemctl restart {keepalived.UNIT}",
            fingerprint=fingerprint("ipvs", self.wanted),
            diff="keepalived reads another configuration",
            disrupts=True,
        )

    def _servers(self, now: VirtualServer) -> Change | None:
        good = {server.address: server for server in self.wanted.servers}
        strange = [server for server in now.servers if not _same(server, good.get(server.address))]
        idle = [server for server in now.servers if server not in strange and server.weight != FULL_WEIGHT]
        if not strange and not idle:
            return None
        service = self.wanted.address
        lines = [f"ipvsadm -d -t {service} -r {server.address}" for server in strange]
        lines += [weighed(service, replace(server, weight=FULL_WEIGHT)) for server in idle]
        return Change(
            title=f"put the real servers of {self.wanted.address} right",
            script="\n".join(lines),
            fingerprint=fingerprint("ipvs", self.wanted),
            diff="\n".join(
                [
                    *(f"{server.address} ({server.method}) is not ours" for server in strange),
                    *(f"{server.address}: weight {server.weight} -> {FULL_WEIGHT}" for server in idle),
                ]
            ),
        )


def weighed(service: str, server: RealServer) -> str:
    """Shell that gives a real server its weight."""
    return f"ipvsadm -e -t {service} -r {server.address} {_FLAGS[server.method]} -w {server.weight}"


def _same(now: RealServer, wanted: RealServer | None) -> bool:
    return wanted is not None and now.method == wanted.method


def lvs(site: Site) -> list[Step]:
    """This host's part of the way from the virtual IP to the apiservers; nothing without load balancers.

    Healthy when `ipvsadm -L -n` on the director shows every control-plane host with its weight.
    """
    cluster, host = site.cluster, site.host
    if not cluster.load_balancers or cluster.settings.endpoint.vip is None:
        return []
    if host.is_load_balancer:
        return _director(cluster, cluster.lvs)
    return _real_server(cluster, cluster.lvs) if host.is_control_plane else []


def _director(cluster: Cluster, lvs: Lvs | None) -> list[Step]:
    if lvs is None:
        return _no_rules()
    rules = [_rules()] if lvs.method == "nat" else _no_rules()
    # Nginx goes last: until keepalived has made the table, it is what answers at the VIP.
    return [*rules, Table(virtual_server(cluster, lvs)), UnitAbsent(endpoint.UNIT), UnitAbsent(nginx.UNIT)]


def _rules() -> Step:
    """keepalived's unit has loaded them; somebody else may have flushed all rules since."""
    return Command(
        "have answers to what IPVS forwards come back through this host",
        f"nft --file {keepalived.MASQUERADE}",
        unless=_RULES_ARE_THERE,
    )


def _no_rules() -> list[Step]:
    """None are left of another method."""
    remove = Command(
        "no longer rewrite what IPVS forwards",
        f"nft delete table ip {keepalived.MASQUERADE_TABLE}",
        unless=f"! {_RULES_ARE_THERE}",
    )
    return [Absent(keepalived.MASQUERADE), remove]


def _real_server(cluster: Cluster, lvs: Lvs | None) -> list[Step]:
    """A control-plane host that held a VIP itself before there were load balancers does so no longer."""
    absent: list[Step] = [UnitAbsent(keepalived.UNIT)]
    vip = cluster.settings.endpoint.vip
    if lvs is None or lvs.method == "nat" or vip is None:
        return absent
    unit = render("lvs/address.service.j2", _Address(vip, "tunl0" if lvs.method == "tunnel" else "lo"))
    return [*absent, File(unit_path(ADDRESS_UNIT), unit), Unit(ADDRESS_UNIT, (unit_path(ADDRESS_UNIT),))]


def retired_address(site: Site) -> list[Step]:
    """Takes the virtual IP away that load balancers forwarded to before they were told to do otherwise: they have done
    so by now. NAT brings it as everybody's source, and a host drops what comes from an address of its own.
    """
    cluster = site.cluster
    if not site.host.is_control_plane or not cluster.load_balancers:
        return []
    return [UnitAbsent(ADDRESS_UNIT)] if cluster.lvs is None or cluster.lvs.method == "nat" else []


def retired_ways(site: Site) -> list[Step]:
    """Takes away what daemons went through before LVS, or all load balancers, were taken out of the inventory: they
    have been told of another way by now. A virtual IP that stayed where nobody forwards to would be no way in.
    """
    cluster = site.cluster
    if not site.host.is_control_plane or cluster.lvs is not None:
        return []
    proxy = [UnitAbsent(endpoint.UNIT), UnitAbsent(nginx.UNIT)]
    return [*proxy] if cluster.load_balancers else [UnitAbsent(ADDRESS_UNIT)]


def virtual_server(cluster: Cluster, lvs: Lvs) -> VirtualServer:
    """What the table should say when all real servers are healthy."""
    port = cluster.settings.endpoint.port
    servers = tuple(
        RealServer(f"{host.address}:{nginx.BALANCED_PORT if lvs.method == 'nat' else port}", lvs.method, FULL_WEIGHT)
        for host in cluster.control_planes
    )
    return VirtualServer(f"{cluster.settings.endpoint.vip}:{port}", lvs.scheduler, lvs.persistence_seconds, servers)
