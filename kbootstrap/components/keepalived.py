"""keepalived: one control-plane host holds the virtual IP, and another takes it within a second."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import PurePosixPath

from kbootstrap.components.binaries import LIBEXEC
from kbootstrap.components.host import CONFIG_FOLDER
from kbootstrap.components.nginx import ALIVE_PORT
from kbootstrap.components.service import NETWORKING, NODE_OOM_SCORE, Service, unit_path
from kbootstrap.components.site import Site
from kbootstrap.errors import PreflightFailed
from kbootstrap.facts.identity import Identity
from kbootstrap.pki import paths
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "kube-endpoint-keepalived.service"
PROGRAM = "/usr/sbin/keepalived"
CONFIG = CONFIG_FOLDER / "keepalived.conf"
ALIVE_SCRIPT = LIBEXEC / "endpoint-alive"
USEFUL_SCRIPT = LIBEXEC / "endpoint-useful"

TOP_PRIORITY = 200


@dataclass(frozen=True, slots=True)
class KeepalivedConfig:
    """A VRRP instance between the control-plane hosts.

    It tracks the local proxy, not the local apiserver: every proxy reaches every apiserver. `nopreempt`: a host
    that comes back does not take the VIP away again. Real-time priority, because a stalled holder is taken for dead
    after three intervals; the kernel ends it after `rt_microseconds` without a system call.
    """

    host: str
    address: IPv4Address
    peers: tuple[IPv4Address, ...]
    vip: IPv4Address
    interface: str
    router_id: int
    priority: int
    advert_interval: float
    alive_script: PurePosixPath = ALIVE_SCRIPT
    useful_script: PurePosixPath = USEFUL_SCRIPT
    rt_priority: int = 50
    rt_microseconds: int = 100_000


@dataclass(frozen=True, slots=True)
class _Alive:
    port: int


@dataclass(frozen=True, slots=True)
class _Useful:
    port: int
    authority: PurePosixPath


def keepalived(site: Site) -> list[Step]:
    """The VRRP instance of this host; nothing without a VIP, or on other hosts.

    Healthy when exactly one control-plane host has the VIP (`ip address show to VIP/32`).
    """
    endpoint = site.cluster.settings.endpoint
    if endpoint.mode != "vip" or endpoint.vip is None or not site.host.is_control_plane:
        return []
    service = Service(
        description="Holder of the Kubernetes API's virtual IP",
        documentation="man:keepalived(8)",
        command=(
            PROGRAM,
            "--dont-fork",
            "--vrrp",
            f"--use-file={CONFIG}",
            "--pid=/run/kube-endpoint-keepalived.pid",
            "--vrrp_pid=/run/kube-endpoint-keepalived-vrrp.pid",
        ),
        limit_nofile=site.cluster.settings.systemd.limit_nofile,
        type="notify",
        # Not tested first: keepalived 2.2 ends itself in its test when scripts run as another user.
        reload=("/bin/kill -HUP $MAINPID",),
        stop_seconds=10,
        oom_score=NODE_OOM_SCORE,
        options={"KillMode": "mixed", **NETWORKING},
    )
    alive = render("keepalived/alive.sh.j2", _Alive(ALIVE_PORT))
    useful = render("keepalived/useful.sh.j2", _Useful(endpoint.port, paths.CA_CERTIFICATE))
    return [
        File(ALIVE_SCRIPT, alive, 0o755),
        File(USEFUL_SCRIPT, useful, 0o755),
        File(CONFIG, render("keepalived/keepalived.conf.j2", _config(site, endpoint.vip))),
        service.file(UNIT),
        Unit(UNIT, (unit_path(UNIT), CONFIG), on_change="reload"),
    ]


def _config(site: Site, vip: IPv4Address) -> KeepalivedConfig:
    settings, peers = site.cluster.settings.keepalived, site.cluster.control_planes
    return KeepalivedConfig(
        host=site.host.name,
        address=site.host.address,
        peers=tuple(peer.address for peer in peers if peer != site.host),
        vip=vip,
        interface=settings.interface or _interface(site),
        router_id=settings.router_id or router_id(vip),
        priority=TOP_PRIORITY - peers.index(site.host),
        advert_interval=settings.advert_interval,
    )


def router_id(vip: IPv4Address) -> int:
    """A VRRP router id from the VIP: its last octet, which is different for every VIP of a subnet up to /24."""
    return int(vip) % 256 or 255


def _interface(site: Site) -> str:
    found = site.facts[Identity()].interface_of(site.host.address)
    if found is None:
        raise PreflightFailed(
            f"no interface of {site.host.name} has the address {site.host.address}",
            hint="correct the host's `address` in the inventory (SSH may use another one: `ssh_address`)",
        )
    return found.name
