"""An Nginx at the virtual IPs that makes applications reachable from outside, each name with its own certificate.

It is another one than the proxy to the API, so that neither is reloaded for the other's sake.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath

from kbootstrap.components.nginx import PROGRAM
from kbootstrap.components.packages import NGINX_USER, has_edge
from kbootstrap.components.service import NETWORKING, Service, unit_path
from kbootstrap.components.site import Site
from kbootstrap.facts.pki import APPLICATIONS_FOLDER
from kbootstrap.model.applications import HTTP_PORT, HTTPS_PORT, Application
from kbootstrap.model.cluster import Cluster
from kbootstrap.render.renderer import render
from kbootstrap.steps.command import Command
from kbootstrap.steps.file import Directory, File
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit, UnitAbsent

UNIT = "kube-edge-nginx.service"
FOLDER = PurePosixPath(APPLICATIONS_FOLDER)
CONFIG = FOLDER / "nginx.conf"
RUNTIME = PurePosixPath("/run/kube-edge-nginx")
LOGS = PurePosixPath("/var/log/kube-edge")
LOG = LOGS / "access.log"
ROTATION = PurePosixPath("/etc/logrotate.d/kube-edge")
ALIVE_PORT = 6446
"""On loopback: says ok as long as nginx accepts connections."""

MAX_CONNECTIONS = 8192
"""Per worker, two for each client."""

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
"""For TLS 1.2: Mozilla's "intermediate", without finite-field Diffie-Hellman, which would need parameters."""

HEADERS: Mapping[str, Mapping[str, str]] = {
    "http": {"X-Content-Type-Options": "nosniff"},
    "https": {"Strict-Transport-Security": "max-age=63072000", "X-Content-Type-Options": "nosniff"},
}
"""Of answers, by protocol, unless the inventory says otherwise. Two years: Mozilla's guidelines."""


@dataclass(frozen=True, slots=True)
class Served:
    """An application, as nginx has it."""

    name: str
    upstream: str
    protocol: str
    port: int | None
    servers: tuple[str, ...]
    backend: str
    server_names: tuple[str, ...]
    certificate: PurePosixPath
    key: PurePosixPath
    redirect: bool
    websockets: bool
    body_size: str
    timeout: int
    allowed_sources: tuple[IPv4Network, ...]
    headers: tuple[tuple[str, str], ...]
    acme_solver: str | None


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """The proxy. Times as nginx writes them.

    A node that does not accept a connection within 1 s is passed over, the request goes to the next one, and for 10 s
    nobody is sent there.
    """

    vips: tuple[IPv4Address, ...]
    applications: tuple[Served, ...]
    alive: str
    open_files: int
    connections: int
    module: str = "modules/ngx_stream_module.so"
    user: str = NGINX_USER
    runtime: PurePosixPath = RUNTIME
    log: PurePosixPath = LOG
    ciphers: tuple[str, ...] = CIPHERS
    http_port: int = HTTP_PORT
    https_port: int = HTTPS_PORT
    connect_timeout: str = "1s"
    max_fails: int = 1
    fail_timeout: str = "10s"
    keepalive: str = "30s:10s:3"
    shutdown_timeout: str = "10m"
    """After a reload: how long connections through the old configuration may stay."""


@dataclass(frozen=True, slots=True)
class _Rotation:
    user: str = NGINX_USER
    log: PurePosixPath = LOG
    pidfile: PurePosixPath = RUNTIME / "nginx.pid"
    most: str = "100M"
    kept: int = 14


def edge(site: Site) -> list[Step]:
    """What makes the applications reachable; nothing on hosts that are no load balancers, or without applications.

    Healthy when `curl --resolve NAME:443:VIP https://NAME/` gets the application's answer.
    """
    if not has_edge(site.cluster, site.host):
        return [UnitAbsent(UNIT), _no_others(())] if site.host.is_load_balancer else []
    limit = site.cluster.settings.systemd.limit_nofile
    applications = site.cluster.settings.applications
    config = EdgeConfig(
        vips=site.cluster.vips,
        applications=tuple(_served(site.cluster, name, one) for name, one in applications.items()),
        alive=f"127.0.0.1:{ALIVE_PORT}",
        open_files=limit,
        connections=min(MAX_CONNECTIONS, limit // 2),
    )
    command = (PROGRAM, "-c", str(CONFIG))
    test = f"{' '.join(command)} -t -q"
    service = Service(
        description="What clients outside reach of the cluster's applications",
        documentation="https://nginx.org/en/docs/http/ngx_http_proxy_module.html",
        command=(*command, "-g", "daemon off;"),
        limit_nofile=limit,
        before_start=(test,),
        reload=(test, f"{' '.join(command)} -s reload"),
        stop_seconds=5,
        options={"RuntimeDirectory": RUNTIME.name, "KillSignal": "SIGQUIT", "KillMode": "mixed", **NETWORKING},
    )
    certificates = [file for name, one in applications.items() for file in _certificate(name, one, site.files)]
    return [
        Directory(FOLDER),
        Directory(LOGS, 0o750, group="adm"),
        *certificates,
        _no_others(tuple(file.path for file in certificates)),
        File(CONFIG, render("edge/nginx.conf.j2", config)),
        File(ROTATION, render("edge/logrotate.j2", _Rotation())),
        service.file(UNIT),
        Unit(UNIT, (unit_path(UNIT), CONFIG, *(file.path for file in certificates)), on_change="reload"),
    ]


def _served(cluster: Cluster, name: str, application: Application) -> Served:
    behind = cluster.settings.ingress_controllers[application.ingress] if application.ingress else None
    port = application.node_port if behind is None else behind.node_port
    nodes = [host for host in cluster.nodes if host.is_worker] or cluster.nodes
    return Served(
        name=name,
        upstream=f"app_{name.replace('-', '_')}",
        protocol=application.protocol,
        port=application.port,
        servers=tuple(f"{node.address}:{port}" for node in nodes),
        backend=application.backend if behind is None else behind.protocol,
        server_names=application.server_names,
        certificate=_path(name, "crt"),
        key=_path(name, "key"),
        redirect=application.redirect,
        websockets=application.websockets,
        body_size=application.body_size,
        timeout=application.timeout_seconds,
        allowed_sources=application.allowed_sources,
        headers=tuple(
            (header, value)
            for header, value in {**HEADERS.get(application.protocol, {}), **application.headers}.items()
            if value
        ),
        acme_solver=application.acme_solver,
    )


def _certificate(name: str, application: Application, files: Mapping[Path, bytes]) -> Iterator[File]:
    """Those of the files on the control machine; a renewed one is a change like any other."""
    if application.certificate is not None and application.key is not None:
        yield File(_path(name, "crt"), files[application.certificate])
        yield File(_path(name, "key"), files[application.key], 0o600, secret=True)


def _no_others(paths: tuple[PurePosixPath, ...]) -> Step:
    """Keys of applications that are gone do not stay behind."""
    kept = "".join(f" ! -path {path}" for path in paths)
    found = f"find {FOLDER} -type f \\( -name '*.crt' -o -name '*.key' \\){kept}"
    unless = f'[ ! -d {FOLDER} ] || [ -z "$({found})" ]'
    return Command("remove certificates that no application has", f"{found} -delete", unless=unless)


def _path(name: str, suffix: str) -> PurePosixPath:
    return FOLDER / f"{name}.{suffix}"
