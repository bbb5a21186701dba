"""etcd: one member, under systemd, with an authority of its own."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import PurePosixPath

from kbootstrap.components.binaries import ETCD, LIBEXEC, LOCAL_BIN
from kbootstrap.components.certificates import certificate
from kbootstrap.components.service import CONFINED, CRITICAL_POD_OOM_SCORE, Service, flags, unit_path
from kbootstrap.components.site import Site
from kbootstrap.components.wrapper import wrapper
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.pki import paths
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.render.renderer import render
from kbootstrap.steps.command import Command
from kbootstrap.steps.file import Directory, File, Link
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "etcd.service"
USER = "etcd"
DATA = PurePosixPath("/var/lib/etcd")
MEMBER_MARKER = PurePosixPath("/var/lib/kbootstrap/etcd-member")
"""There as soon as this host has been a member: who takes its data away on purpose removes this too."""
INITIAL_CLUSTER = PurePosixPath("/etc/etcd/initial-cluster.env")
GUARD = LIBEXEC / "etcd-guard"

CLIENT_PORT = 2379
PEER_PORT = 2380
METRICS_PORT = 2381

SERVER = paths.ETCD_CA_CERTIFICATE.with_name("server")
PEER = paths.ETCD_CA_CERTIFICATE.with_name("peer")
HEALTH_CLIENT = paths.ETCD_CA_CERTIFICATE.with_name("healthcheck-client")

LOOPBACK = IPv4Address("127.0.0.1")

STOP_SECONDS = 60
"""A leader hands over in 0.06 s (measured) and writes no more; the rest is for slow disks."""


def etcd(site: Site) -> list[Step]:
    """A member of the cluster's etcd, with the authority to say so.

    All members of a new cluster are in `initial-cluster` at once. The unit does not wait to be ready: that takes a
    quorum, so other hosts. Healthy when `etcdctl endpoint health` on the host says so.
    """
    return [
        *ETCD.deliver(site),
        ETCD.use(site),
        *_account(),
        *_files(site),
        *_certificates(site),
        *_commands(),
        *_service(site),
    ]


def _account() -> list[Step]:
    useradd = f"useradd --system --user-group --no-create-home --home-dir {DATA} --shell /usr/sbin/nologin {USER}"
    return [Command(f"make the user {USER}", useradd, unless=f"getent passwd {USER}")]


@dataclass(frozen=True, slots=True)
class _Guard:
    marker: PurePosixPath
    data: PurePosixPath


@dataclass(frozen=True, slots=True)
class _InitialCluster:
    members: tuple[str, ...]
    state: str
    token: str


def _files(site: Site) -> list[Step]:
    members = tuple(f"{member.name}={peer_url(member)}" for member in site.cluster.etcd_members)
    initial = _InitialCluster(members, "new", site.cluster.name)
    return [
        Directory(DATA, 0o700, USER, USER),
        Directory(INITIAL_CLUSTER.parent),
        File(INITIAL_CLUSTER, render("etcd/initial-cluster.env.j2", initial)),
        File(GUARD, render("etcd/guard.sh.j2", _Guard(MEMBER_MARKER, DATA)), 0o755),
    ]


def _certificates(site: Site) -> list[Step]:
    host, authority = site.host, site.pki.etcd
    names, addresses = (host.name, "localhost"), (host.address, LOOPBACK)
    both = CertificateSpec(host.name, names=names, addresses=addresses, server=True, client=True)
    return [
        certificate(site, SERVER, authority, both, owner=USER),
        certificate(site, PEER, authority, both, owner=USER),
        certificate(site, HEALTH_CLIENT, authority, CertificateSpec("kube-etcd-healthcheck-client", client=True)),
    ]


def _commands() -> list[Step]:
    environment = {
        "ETCDCTL_ENDPOINTS": f"https://{LOOPBACK}:{CLIENT_PORT}",
        "ETCDCTL_CACERT": str(paths.ETCD_CA_CERTIFICATE),
        "ETCDCTL_CERT": f"{HEALTH_CLIENT}.crt",
        "ETCDCTL_KEY": f"{HEALTH_CLIENT}.key",
    }
    return [
        wrapper(ETCD.program("etcdctl"), environment),
        Link(LOCAL_BIN / "etcdutl", str(ETCD.program("etcdutl"))),
    ]


def _service(site: Site) -> list[Step]:
    service = Service(
        description="etcd",
        documentation="https://etcd.io/docs/",
        command=(str(ETCD.program()), *_arguments(site)),
        limit_nofile=site.cluster.settings.systemd.limit_nofile,
        type="notify",
        environment=site.cluster.settings.etcd.environment,
        environment_file=INITIAL_CLUSTER,
        before_start=(str(GUARD),),
        after_start=(f"+/usr/bin/touch {MEMBER_MARKER}",),
        start_seconds=0,  # it is ready when there is a quorum, however late the other hosts are
        stop_seconds=STOP_SECONDS,
        oom_score=CRITICAL_POD_OOM_SCORE,
        options={"User": USER, "Group": USER, "ReadWritePaths": str(DATA), "UMask": "0077", **CONFINED},
    )
    inputs = (
        unit_path(UNIT),
        GUARD,
        *ETCD.inputs(site),
        paths.ETCD_CA_CERTIFICATE,
        *(path.with_name(f"{path.name}{suffix}") for path in (SERVER, PEER) for suffix in (".crt", ".key")),
    )
    return [service.file(UNIT), Unit(UNIT, inputs, wait=False)]


def _arguments(site: Site) -> tuple[str, ...]:
    host, settings = site.host, site.cluster.settings.etcd
    return flags(
        {
            "name": host.name,
            "data-dir": DATA,
            "listen-client-urls": f"{client_url(host)},https://{LOOPBACK}:{CLIENT_PORT}",
            "advertise-client-urls": client_url(host),
            "listen-peer-urls": peer_url(host),
            "initial-advertise-peer-urls": peer_url(host),
            "listen-metrics-urls": f"http://{LOOPBACK}:{METRICS_PORT}",
            "cert-file": f"{SERVER}.crt",
            "key-file": f"{SERVER}.key",
            "trusted-ca-file": paths.ETCD_CA_CERTIFICATE,
            "client-cert-auth": True,
            "peer-cert-file": f"{PEER}.crt",
            "peer-key-file": f"{PEER}.key",
            "peer-trusted-ca-file": paths.ETCD_CA_CERTIFICATE,
            "peer-client-cert-auth": True,
            "tls-min-version": "TLS1.2",
            "heartbeat-interval": settings.heartbeat_ms,
            "election-timeout": settings.election_ms,
            "quota-backend-bytes": settings.quota_bytes,
            "auto-compaction-mode": "periodic",
            "auto-compaction-retention": settings.auto_compaction,
            # etcd's own advice since the 3.5 corruption (etcd.io, data corruption): compare hashes at start, at
            # every compaction, and in between.
            "feature-gates": "InitialCorruptCheck=true,CompactHashCheck=true",
            "corrupt-check-time": "4h",
            # As kubeadm: lets the apiserver's watch cache answer consistent reads.
            "watch-progress-notify-interval": "5s",
        },
        settings.extra_args,
    )


def client_url(member: Host) -> str:
    """Where clients find a member."""
    return f"https://{member.address}:{CLIENT_PORT}"


def peer_url(member: Host) -> str:
    """Where members find each other."""
    return f"https://{member.address}:{PEER_PORT}"


def servers_for(cluster: Cluster, host: Host) -> str:
    """What an apiserver on `host` asks: its own host's member where there is one, else all.

    Where all members were asked, a dead one would cost every apiserver.
    """
    if host.is_etcd:
        return f"https://{LOOPBACK}:{CLIENT_PORT}"
    return ",".join(client_url(member) for member in cluster.etcd_members)
