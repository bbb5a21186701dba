"""An Nginx stream proxy that spreads connections over all apiservers, with a unit and a configuration of its own.

The distribution's nginx.service stays as its package made it, but does not run.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.components import endpoint
from kbootstrap.components.host import CONFIG_FOLDER
from kbootstrap.components.packages import NGINX_USER, has_proxy
from kbootstrap.components.service import NETWORKING, Service, unit_path
from kbootstrap.components.site import Site
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "kube-endpoint-nginx.service"
PROGRAM = "/usr/sbin/nginx"
CONFIG = CONFIG_FOLDER / "nginx.conf"
RUNTIME = PurePosixPath("/run/kube-endpoint-nginx")
ALIVE_PORT = 6444
"""On loopback: says ok as long as nginx accepts connections."""
BALANCED_PORT = 6445
"""At the host's own address, for LVS directors."""

MAX_CONNECTIONS = 8192
"""Per worker, two for each client: 4096 clients, as many as a thousand nodes need."""


@dataclass(frozen=True, slots=True)
class NginxConfig:
    """The proxy. Times as nginx writes them.

    An apiserver that does not accept a connection within 1 s is passed over. Watches and `logs -f` may be silent for
    hours; dead peers are found by keepalive in a minute.
    """

    listen: tuple[str, ...]
    alive: str
    open_files: int
    connections: int
    module: str = "modules/ngx_stream_module.so"
    workers: int = 2
    user: str = NGINX_USER
    runtime: PurePosixPath = RUNTIME
    list: PurePosixPath = endpoint.LIST
    connect_timeout: str = "1s"
    idle_timeout: str = "24h"
    keepalive: str = "30s:10s:3"
    shutdown_timeout: str = "10m"
    """After a reload: how long connections through the old configuration may stay."""


def nginx(site: Site) -> list[Step]:
    """The proxy of this host and what keeps its list of apiservers; nothing on hosts that have no proxy.

    Healthy when `curl --cacert /etc/kubernetes/pki/ca.crt https://127.0.0.1:6443/readyz` says ok.
    """
    if not has_proxy(site.cluster, site.host):
        return []
    settings = site.cluster.settings
    limit = settings.systemd.limit_nofile
    config = NginxConfig(
        listen=listen_addresses(site.cluster, site.host),
        alive=f"127.0.0.1:{ALIVE_PORT}",
        open_files=limit,
        connections=min(MAX_CONNECTIONS, limit // 2),
    )
    command = (PROGRAM, "-c", str(CONFIG))
    service = Service(
        description="Proxy to the Kubernetes API servers",
        documentation="https://nginx.org/en/docs/stream/ngx_stream_core_module.html",
        command=(*command, "-g", "daemon off;"),
        limit_nofile=limit,
        before_start=(f"{endpoint.PROGRAM} list", f"{' '.join(command)} -t -q"),
        reload=(f"{endpoint.PROGRAM} reload",),
        stop_seconds=5,
        options={"RuntimeDirectory": RUNTIME.name, "KillSignal": "SIGQUIT", "KillMode": "mixed", **NETWORKING},
    )
    servers = endpoint.servers(site.cluster)
    return [
        # The unit before the configuration: at a boot between the two, the old configuration needs no list.
        endpoint.program(command, RUNTIME / "nginx.pid"),
        servers,
        service.file(UNIT),
        File(CONFIG, render("nginx/nginx.conf.j2", config)),
        Unit(UNIT, (unit_path(UNIT), CONFIG, servers.path), on_change="reload"),
        *endpoint.watch(site),
    ]


def listen_addresses(cluster: Cluster, host: Host) -> tuple[str, ...]:
    """Where a host's proxy listens: on loopback, and on the VIP, also while another host holds it.

    Behind LVS also at the host's own address, where directors ask for its health, and with NAT send connections.
    """
    endpoint, lvs = cluster.settings.endpoint, cluster.lvs
    vip = (f"{endpoint.vip}:{endpoint.port}",) if endpoint.vip is not None and not (lvs and lvs.method == "nat") else ()
    own = (f"{host.address}:{BALANCED_PORT}",) if lvs is not None else ()
    return (f"127.0.0.1:{endpoint.port}", *vip, *own)
