"""A load balancer's virtual IPs on another one: handed over, which clients hardly notice, and not lost."""

from collections.abc import Iterator
from contextlib import contextmanager

from tenacity import Retrying, retry_if_not_result, stop_after_delay, wait_fixed

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


@contextmanager
def vips_elsewhere(scene: Scene) -> Iterator[None]:
    """The load balancer holds no virtual IP. After a failure it takes none until it is worked on again, or booted.

    A cluster's only load balancer has nobody to hand over to. Raises CheckFailed, before anything is done, when none
    of the others would take them.
    """
    balancers = scene.cluster.load_balancers
    if scene.host not in balancers or len(balancers) == 1 or not scene.own.run(ACTIVE).ok:
        yield
        return
    others = {host.name: scene.connections[host.name] for host in balancers if host.name in scene.connections}
    del others[scene.host.name]
    if not any(on_all(others, lambda _name, host: host.run(FIT).ok).values()):
        raise CheckFailed(
            "no other load balancer would take its virtual IPs",
            host=scene.host.name,
            hint="`kbootstrap status` says what is wrong with the others; this one goes on as before",
        )
    scene.own.run(f"systemctl stop {KEEPALIVED}").require("could not stop keepalived")
    if not _taken(scene, others):
        scene.own.run(f"systemctl start {KEEPALIVED}").require("could not start keepalived again")
        raise CheckFailed(
            f"the other load balancers have not taken all virtual IPs within {TAKEN_SECONDS * scene.scale:.0f} s",
            host=scene.host.name,
            hint=f"on them: journalctl -u {KEEPALIVED} -n 50; this one goes on as before",
        )
    yield
    scene.own.run(f"systemctl start {KEEPALIVED}").require("could not start keepalived again")


def _taken(scene: Scene, others: dict[str, Connection]) -> bool:
    """Whether each virtual IP is on one of the others, by the deadline."""

    def look() -> bool:
        seen = on_all(others, lambda _name, host: host.run("ip -4 -oneline address").require("no addresses").text)
        return all(any(f" {vip}/32 " in shown for shown in seen.values()) for vip in scene.cluster.vips)

    return Retrying(
        retry=retry_if_not_result(bool),
        stop=stop_after_delay(TAKEN_SECONDS * scene.scale),
        wait=wait_fixed(PAUSE_SECONDS),
        retry_error_callback=lambda _state: False,
    )(look)
