"""A host's virtual IPs on another one: handed over, which clients hardly notice, and not lost."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address

from tenacity import Retrying, retry_if_not_result, stop_after_delay, wait_fixed

from kbootstrap.components.handover import turn_away
from kbootstrap.components.keepalived import ALIVE_SCRIPT, USEFUL_SCRIPT
from kbootstrap.components.keepalived import UNIT as KEEPALIVED
from kbootstrap.errors import CheckFailed
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.guards.scene import Scene
from kbootstrap.workflows.parallel import on_all

TAKEN_SECONDS = 10.0
"""How long the others may take to have all virtual IPs. VRRP's hand-over takes 0.1 to 0.65 s (measured)."""

PAUSE_SECONDS = 0.5

ACTIVE = f"systemctl is-active --quiet {KEEPALIVED}"
FIT = f"{ACTIVE} && {ALIVE_SCRIPT} && {USEFUL_SCRIPT}"
"""Whether a host would take a virtual IP."""

SHOW = "ip -4 -oneline address"


def anybody_fit(others: Mapping[str, Connection]) -> bool:
    """Whether any of these hosts would take a virtual IP now."""
    return any(on_all(others, lambda _name, host: host.run(FIT).ok).values())


@contextmanager
def vips_elsewhere(scene: Scene) -> Iterator[None]:
    """The host holds no virtual IP. After a failure it takes none until it is worked on again, or booted.

    The only host that may hold them has nobody to hand over to. Raises CheckFailed, before anything is done, when none
    of the others would take them.
    """
    holders = scene.cluster.vip_hosts
    if scene.host not in holders or len(holders) == 1 or not scene.own.run(ACTIVE).ok:
        yield
        return
    others = {host.name: scene.connections[host.name] for host in holders if host.name in scene.connections}
    del others[scene.host.name]
    if not anybody_fit(others):
        raise CheckFailed(
            "no other host would take its virtual IPs",
            host=scene.host.name,
            hint="`kbootstrap status` says what is wrong with the others; this one goes on as before",
        )
    held = _shown(scene.cluster.vips, scene.own)
    if held and not scene.own.run(turn_away(held)).ok:
        scene.note("nft is not to be had: requests that are under way when the virtual IP moves will fail")
    scene.own.run(f"systemctl stop {KEEPALIVED}").require("could not stop keepalived")
    if not _taken(scene, others):
        scene.own.run(f"systemctl start {KEEPALIVED}").require("could not start keepalived again")
        raise CheckFailed(
            f"no other host has taken all virtual IPs within {TAKEN_SECONDS * scene.scale:.0f} s",
            host=scene.host.name,
            hint=f"on them: journalctl -u {KEEPALIVED} -n 50; this one goes on as before",
        )
    yield
    scene.own.run(f"systemctl start {KEEPALIVED}").require("could not start keepalived again")


def _shown(vips: tuple[IPv4Address, ...], host: Connection) -> frozenset[IPv4Address]:
    """The virtual IPs that a host has."""
    shown = host.run(SHOW).require("no addresses").text
    return frozenset(vip for vip in vips if f" {vip}/32 " in shown)


def _taken(scene: Scene, others: dict[str, Connection]) -> bool:
    """Whether each virtual IP is on one of the others, by the deadline."""

    def look() -> bool:
        seen = on_all(others, lambda _name, host: _shown(scene.cluster.vips, host))
        return frozenset(scene.cluster.vips) <= frozenset().union(*seen.values())

    return Retrying(
        retry=retry_if_not_result(bool),
        stop=stop_after_delay(TAKEN_SECONDS * scene.scale),
        wait=wait_fixed(PAUSE_SECONDS),
        retry_error_callback=lambda _state: False,
    )(look)
