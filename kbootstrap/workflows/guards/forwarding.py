"""A control-plane host's proxy that LVS gives no new connections, before the host goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from kbootstrap.components.lvs import FULL_WEIGHT, virtual_server, weighed
from kbootstrap.workflows.guards.scene import Scene
from kbootstrap.workflows.parallel import on_all

END_SECONDS = 5.0
"""How long connections under way have to end by themselves: requests do; watches are made anew elsewhere."""


@contextmanager
def out_of_lvs(scene: Scene) -> Iterator[None]:
    """The host has weight 0 on every director. After a failure it keeps it, until `up` finds it so.

    Where keepalived has taken it out of the table there is nothing to do; nor with a single control-plane host.
    """
    lvs = scene.cluster.lvs
    if lvs is None or not scene.host.is_control_plane or len(scene.cluster.control_planes) == 1:
        yield
        return
    _weigh(scene, 0)
    time.sleep(END_SECONDS)
    yield
    _weigh(scene, FULL_WEIGHT)


def _weigh(scene: Scene, weight: int) -> None:
    lvs = scene.cluster.lvs
    if lvs is None:
        return
    table = virtual_server(scene.cluster, lvs)
    own = next(server for server in table.servers if server.address.startswith(f"{scene.host.address}:"))
    known = f"ipvsadm --save --numeric | grep -q -- '-a -t {table.address} -r {own.address} '"
    line = f"! {known} || {weighed(table.address, replace(own, weight=weight))}"
    directors = {
        host.name: scene.connections[host.name]
        for host in scene.cluster.load_balancers
        if host.name in scene.connections
    }
    on_all(directors, lambda _name, host: host.run(line).require("could not change the director's table"))
