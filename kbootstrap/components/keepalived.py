"""keepalived: one host holds the virtual IP, and another takes it within a second."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from math import ceil
from pathlib import PurePosixPath

from kbootstrap.components import edge
from kbootstrap.components.binaries import LIBEXEC
from kbootstrap.components.host import CONFIG_FOLDER
from kbootstrap.components.kubelet import PORT as KUBELET_PORT
from kbootstrap.components.nginx import ALIVE_PORT, BALANCED_PORT
from kbootstrap.components.packages import has_edge, has_proxy
from kbootstrap.components.service import NETWORKING, NODE_OOM_SCORE, Service, unit_path
from kbootstrap.components.site import Site
from kbootstrap.errors import PreflightFailed
from kbootstrap.facts.identity import Identity
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.model.load_balancer import Lvs
from kbootstrap.pki import paths
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import Absent, File
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "kube-endpoint-keepalived.service"
PROGRAM = "/usr/sbin/keepalived"
CONFIG = CONFIG_FOLDER / "keepalived.conf"
ALIVE_SCRIPT = LIBEXEC / "endpoint-alive"
USEFUL_SCRIPT = LIBEXEC / "endpoint-useful"
OTHERS_SCRIPT = LIBEXEC / "endpoint-others"

TOP_PRIORITY = 254
"""The highest that no owner of the address has. A host that takes the VIP over waits for (256 - priority) / 256 of the
interval first (RFC 9568, 6.1): with this one 2 ms, with 200 it would be 55 ms of an outage."""

PRIORITY_STEP = 10
"""From one host to the next, at the most: 10 ms of that time, so that the next two do not both take the VIP."""
FULL_WEIGHT = 100
"""Of a real server that gets connections like the others."""
MASQUERADE = CONFIG_FOLDER / "lvs.nft"
MASQUERADE_TABLE = "kbootstrap-lvs"

KUBE_PROXY_PORT = 10256
"""Where kube-proxy says how it is, over plain HTTP: a connection costs nobody anything, and is not logged."""
ASKED_WORKERS = 5
"""Beside all control-plane hosts: enough to know that it is this host that is cut off."""
LEAST_OTHERS = 2
ALIVE_SECONDS = 1
"""For a proxy on the same host to say that it lives, before the inventory's scale."""
USEFUL_SECONDS = 5
"""For a ready apiserver to answer through the local proxy, before the inventory's scale."""

WELL_SECONDS = 10
"""That a preferred host is well before it takes its VIP back: its proxies know the apiservers by then."""
SYNCED_SECONDS = 45
"""The same where open connections must go on: the holder tells of one when a packet comes, and on an idle connection
that is the answer to Nginx's keepalive, after 30 s (nginx.NginxConfig)."""


@dataclass(frozen=True, slots=True)
class VrrpInstance:
    """A virtual IP. Who has it keeps it when another comes back, unless one is `preferred` to have it."""

    name: str
    vip: IPv4Address
    router_id: int
    priority: int
    preempts: bool = False


@dataclass(frozen=True, slots=True)
class LvsConfig:
    """The virtual server of the API. A real server's proxy is asked for an apiserver's readiness every second; one
    that does not answer, twice, is out of the table within 4 s, and its open connections are ended.
    """

    method: str
    scheduler: str
    persistence: int
    sync_id: int | None
    port: int
    servers: tuple[IPv4Address, ...]
    server_port: int
    patience: int
    """Seconds for a proxy's answer: more on hosts that are slow by the inventory."""
    health_port: int = BALANCED_PORT
    weight: int = FULL_WEIGHT


@dataclass(frozen=True, slots=True)
class Look:
    """How often keepalived asks whether the host is of use, in seconds, and after how many answers it believes them."""

    why: str
    interval: int
    timeout: int
    fall: int
    rise: int


USEFUL_PROXY = Look("The local proxy reaches no apiserver that is ready: this host may be cut off.", 2, 6, 2, 1)
USEFUL_BALANCER = Look(
    "No host of the cluster answers: this one is cut off, perhaps in one direction only.", 1, 10, 1, 2
)


@dataclass(frozen=True, slots=True)
class KeepalivedConfig:
    """VRRP between the hosts that may hold the virtual IPs.

    It tracks the local proxies, not an apiserver: every proxy reaches every apiserver. Real-time priority, because a
    stalled holder is taken for dead after three intervals; the kernel ends it after `rt_microseconds` without a system
    call.
    """

    holders: str
    host: str
    address: IPv4Address
    peers: tuple[IPv4Address, ...]
    interface: str
    advert_interval: float
    instances: tuple[VrrpInstance, ...]
    useful: Look
    others_script: PurePosixPath | None
    """None where too few others are there to tell who is cut off."""
    lvs: "LvsConfig | None"
    tracks_proxies: bool
    alive_script: PurePosixPath = ALIVE_SCRIPT
    useful_script: PurePosixPath = USEFUL_SCRIPT
    scale: float = 1.0
    """At least one: of `rt_microseconds` and of the time that scripts may take."""
    rt_priority: int = 50
    rt_microseconds: int = 100_000
    preempt_delay: int = WELL_SECONDS


@dataclass(frozen=True, slots=True)
class _Alive:
    """What the script of the same name asks; `patience` is in seconds, for each answer."""

    ports: tuple[int, ...]
    patience: int


@dataclass(frozen=True, slots=True)
class _Useful:
    port: int
    authority: PurePosixPath
    patience: int


@dataclass(frozen=True, slots=True)
class _Others:
    """Whom to greet: kube-proxies and other `daemons`, by address and port. The seconds until one is greeted `again`
    (half of keepalived's interval, which has whole seconds), those for the `greeting`, and `patience` with all of them
    are the longest that a host which hears nobody keeps the VIP: 1.5 s. It takes a millisecond to answer. A look that
    took longer than `slow_microseconds` was made by a host that is too busy to look. With the inventory's `scale` above
    one all but `again` are as much longer. Hosts of different `rank` greet different ones.
    """

    proxies: tuple[str, ...]
    daemons: tuple[str, ...]
    rank: int = 0
    scale: float = 1.0
    again: float = 0.5
    greeting: float = 0.3
    patience: float = 0.7
    slow_microseconds: int = 2_000_000


@dataclass(frozen=True, slots=True)
class _Masquerade:
    vip: IPv4Address
    servers: tuple[IPv4Address, ...]
    port: int = BALANCED_PORT
    table: str = MASQUERADE_TABLE


def keepalived(site: Site) -> list[Step]:
    """The VRRP instances of this host; nothing on hosts that hold no virtual IP.

    Healthy when exactly one host has each VIP (`ip address show to VIP/32`).
    """
    if site.host not in site.cluster.vip_hosts:
        return []
    lvs = site.cluster.lvs
    only_vrrp = ("--vrrp",) if lvs is None else ("--checkers_pid=/run/kube-endpoint-keepalived-checkers.pid",)
    masquerade = _masquerade(site.cluster, lvs)
    load_rules = tuple(f"/usr/sbin/nft --file {file.path}" for file in masquerade)
    service = Service(
        description="Holder of the Kubernetes API's virtual IP",
        documentation="man:keepalived(8)",
        command=(
            PROGRAM,
            "--dont-fork",
            *only_vrrp,
            f"--use-file={CONFIG}",
            "--pid=/run/kube-endpoint-keepalived.pid",
            "--vrrp_pid=/run/kube-endpoint-keepalived-vrrp.pid",
        ),
        before_start=load_rules,
        limit_nofile=site.cluster.settings.systemd.limit_nofile,
        type="notify",
        # Not tested first: keepalived 2.2 ends itself in its test when scripts run as another user.
        reload=(*load_rules, "/bin/kill -HUP $MAINPID"),
        stop_seconds=10,
        oom_score=NODE_OOM_SCORE,
        options={"KillMode": "mixed", **NETWORKING},
    )
    alive = _Alive(_tracked(site), ceil(ALIVE_SECONDS * site.cluster.settings.timeouts.of_daemons))
    return [
        File(ALIVE_SCRIPT, render("keepalived/alive.sh.j2", alive), 0o755),
        File(USEFUL_SCRIPT, _useful_script(site), 0o755),
        *_others_script(site),
        File(CONFIG, render("keepalived/keepalived.conf.j2", _config(site))),
        *masquerade,
        service.file(UNIT),
        Unit(UNIT, (unit_path(UNIT), CONFIG, *(file.path for file in masquerade)), on_change="reload"),
    ]


def _tracked(site: Site) -> tuple[int, ...]:
    """The ports at which the host's own proxies say that they live."""
    api = (ALIVE_PORT,) if has_proxy(site.cluster, site.host) else ()
    return (*api, edge.ALIVE_PORT) if has_edge(site.cluster, site.host) else api


def _masquerade(cluster: Cluster, lvs: Lvs | None) -> list[File]:
    if lvs is None or lvs.method != "nat" or cluster.settings.endpoint.vip is None:
        return []
    servers = tuple(host.address for host in cluster.control_planes)
    return [File(MASQUERADE, render("lvs/masquerade.nft.j2", _Masquerade(cluster.settings.endpoint.vip, servers)))]


def _useful_script(site: Site) -> bytes:
    """Whether the host is cut off from what is behind it.

    On the control plane: whether a ready apiserver answers. Load balancers have applications as well, which go on
    without any apiserver: there it is whether any host of the cluster answers at all.
    """
    if site.host.is_load_balancer:
        return render("keepalived/others.sh.j2", _asked(site, site.cluster.nodes))
    port = site.cluster.settings.endpoint.port
    patience = ceil(USEFUL_SECONDS * site.cluster.settings.timeouts.of_daemons)
    return render("keepalived/useful.sh.j2", _Useful(port, paths.CA_CERTIFICATE, patience))


def _others(site: Site) -> _Others | None:
    """Whom a control-plane host asks. None where only one could be asked, whose silence says nothing of this host, and
    where no other could have the VIP.

    For a load balancer that is what makes it useful.
    """
    nodes = [node for node in site.cluster.nodes if node != site.host]
    if site.host.is_load_balancer or len(nodes) < LEAST_OTHERS or not any(node.is_control_plane for node in nodes):
        return None
    return _asked(site, nodes)


def _asked(site: Site, nodes: Sequence[Host]) -> _Others:
    control_planes = [node.address for node in nodes if node.is_control_plane]
    workers = [node.address for node in nodes if not node.is_control_plane]
    asked = (*control_planes, *workers[:ASKED_WORKERS])
    # A kube-proxy is there only when it has found the API, perhaps by the VIP; a kubelet does without.
    apiservers = (f"{address}:{site.cluster.settings.endpoint.port}" for address in control_planes)
    kubelets = (f"{address}:{KUBELET_PORT}" for address in asked)
    return _Others(
        proxies=tuple(f"{address}:{KUBE_PROXY_PORT}" for address in asked),
        daemons=(*apiservers, *kubelets),
        rank=site.cluster.vip_hosts.index(site.host),
        scale=site.cluster.settings.timeouts.of_daemons,
    )


def _others_script(site: Site) -> list[Step]:
    others = _others(site)
    if others is None:
        return [Absent(OTHERS_SCRIPT)]
    return [File(OTHERS_SCRIPT, render("keepalived/others.sh.j2", others), 0o755)]


def _config(site: Site) -> KeepalivedConfig:
    settings, holders = site.cluster.settings.keepalived, site.cluster.vip_hosts
    is_tier = site.host.is_load_balancer
    return KeepalivedConfig(
        holders="load balancers" if is_tier else "control-plane hosts",
        host=site.host.name,
        address=site.host.address,
        peers=tuple(peer.address for peer in holders if peer != site.host),
        interface=settings.interface or _interface(site),
        advert_interval=settings.advert_interval,
        instances=tuple(_instances(site)),
        lvs=_lvs(site.cluster, site.cluster.lvs),
        preempt_delay=SYNCED_SECONDS if site.cluster.lvs and site.cluster.lvs.connection_sync else WELL_SECONDS,
        tracks_proxies=bool(_tracked(site)),
        useful=USEFUL_BALANCER if is_tier else USEFUL_PROXY,
        others_script=OTHERS_SCRIPT if _others(site) else None,
        scale=site.cluster.settings.timeouts.of_daemons,
    )


def _lvs(cluster: Cluster, lvs: Lvs | None) -> LvsConfig | None:
    if lvs is None:
        return None
    port = cluster.settings.endpoint.port
    return LvsConfig(
        method=lvs.method,
        scheduler=lvs.scheduler,
        persistence=lvs.persistence_seconds,
        sync_id=cluster.router_ids[0] if lvs.connection_sync else None,
        port=port,
        servers=tuple(host.address for host in cluster.control_planes),
        server_port=BALANCED_PORT if lvs.method == "nat" else port,
        patience=ceil(cluster.settings.timeouts.of_daemons),
    )


def _instances(site: Site) -> Iterator[VrrpInstance]:
    """The endpoint's, then the others, each with another host first unless one is preferred."""
    cluster, holders = site.cluster, site.cluster.vip_hosts
    balancer = cluster.settings.load_balancer
    step = min(PRIORITY_STEP, TOP_PRIORITY // len(holders))
    wanted = [("endpoint", balancer.preferred), *((name, one.preferred) for name, one in balancer.instances.items())]
    for number, (vip, identifier, (name, preferred)) in enumerate(
        zip(cluster.vips, cluster.router_ids, wanted, strict=False)
    ):
        first = next((rank for rank, host in enumerate(holders) if host.name == preferred), number % len(holders))
        yield VrrpInstance(
            name=f"kube_{name.replace('-', '_')}",
            vip=vip,
            router_id=identifier,
            priority=TOP_PRIORITY - step * ((holders.index(site.host) - first) % len(holders)),
            preempts=preferred is not None,
        )


def _interface(site: Site) -> str:
    found = site.facts[Identity()].interface_of(site.host.address)
    if found is None:
        raise PreflightFailed(
            f"no interface of {site.host.name} has the address {site.host.address}",
            hint="correct the host's `address` in the inventory (SSH may use another one: `ssh_address`)",
        )
    return found.name
