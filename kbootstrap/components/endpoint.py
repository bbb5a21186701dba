"""`kube-endpoint`: which apiservers a host's proxy gives connections to, by their health and by planned work."""

from dataclasses import dataclass
from math import ceil
from pathlib import PurePosixPath

from kbootstrap.components.binaries import LIBEXEC
from kbootstrap.components.host import CONFIG_FOLDER
from kbootstrap.components.packages import NGINX_USER, has_proxy
from kbootstrap.components.service import CONFINED, NODE_OOM_SCORE, Service, unit_path
from kbootstrap.components.site import Site
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "kube-endpoint-watch.service"
PROGRAM = LIBEXEC / "kube-endpoint"
SERVERS = CONFIG_FOLDER / "nginx-apiservers.conf"
"""All apiservers, as nginx has them when all are well."""
FOLDER = PurePosixPath("/run/kube-endpoint")
"""Health, marks, and nginx's list of now; made by the program, and gone with the next boot."""
LIST = FOLDER / "apiservers.conf"

MOST_QUESTIONS = 30
"""A second, for their health, to one apiserver from all proxies together: 3 % of a core (1 ms for a handshake and
an answer). Up to thirty proxies ask every second, 300 every ten. It may be three times as many for the two rounds in
which an apiserver goes out or comes back."""


@dataclass(frozen=True, slots=True)
class Program:
    """The program. Times in hundredths of a second, but for `patience` and `certain`: in seconds.

    `patience`: of 900 answers on a machine with seven processes waiting for each core, 99 % took less than 0.12 s and
    one 0.4 s; with twenty processes 0.7 s were too short. Silence counts when it is heard twice, the second time at
    once, and somebody else is not silent: a host without power is out within 3.3 s. A good answer between the two
    makes no difference, but two of them do: etcd on a full disk starts anew every two seconds, and its apiserver is
    ready for moments.
    The connections to a host that does not even take new ones end then: who had one to a control plane without power
    waited until it gave up by itself, and an idle watch noticed nothing.
    Those to an apiserver that is unready for longer than `sick`, while another is well, end if it says no within
    `certain`: kubelets stay with theirs as long as TCP is well, and with the etcd of one control plane on a full disk,
    three of five nodes were not Ready. A member that was killed is back sooner. (/readyz asks etcd two questions, each
    for kube_apiserver.ETCD_ANSWER, 1.5 s.) One that only says no because it ends closes its connections itself.
    One that says no is out within 1.3 s, if another says yes. (An apiserver whose etcd member is down says so within
    2.3 s, see kube_apiserver.ETCD_ANSWER.)

    Every reload leaves two workers behind for as long as they have connections, so an apiserver that keeps coming
    and going must be well for longer each time, up to 48 s: that is at most a dozen old workers per server.
    """

    nginx: tuple[str, ...]
    pidfile: PurePosixPath
    servers: PurePosixPath = SERVERS
    folder: PurePosixPath = FOLDER
    list: PurePosixPath = LIST
    authority: PurePosixPath = paths.CA_CERTIFICATE
    user: str = NGINX_USER
    patience: int = 1
    certain: int = 4
    failures: int = 2
    forgiven: int = 2
    successes: int = 3
    most_successes: int = 48
    stays: int = 60_00
    confirm: int = 30
    revive: int = 1_00
    sick: int = 5_00
    at_once: int = 100
    """The kernel takes a thousand, too, but not four thousand."""
    hurry: int = 25
    reload: int = 10_00
    rest: int = 10_00


@dataclass(frozen=True, slots=True)
class Servers:
    """All apiservers. Times as nginx writes them.

    What is done until `kube-endpoint watch` notices, and where it does not run: an apiserver that cannot be connected
    to is left out for 2 s, then tried by one connection (measured: with `max_fails=0` a third of all connections
    would wait for a host without power, with 10 s a starting apiserver is left out for ten).
    """

    servers: tuple[str, ...]
    list: PurePosixPath = LIST
    max_fails: int = 1
    fail_timeout: str = "2s"


def program(nginx: tuple[str, ...], pidfile: PurePosixPath) -> File:
    """The program, for an nginx that is called with this command."""
    return File(PROGRAM, render("nginx/kube-endpoint.sh.j2", Program(nginx, pidfile)), 0o755)


def servers(cluster: Cluster) -> File:
    """All apiservers, for nginx and for the program."""
    port = cluster.settings.endpoint.port
    addresses = tuple(f"{host.address}:{port}" for host in cluster.control_planes)
    return File(SERVERS, render("nginx/servers.conf.j2", Servers(addresses)))


def watch(site: Site) -> list[Step]:
    """The unit that asks the apiservers for their health; the program and the servers must be there.

    Healthy when `/opt/kbootstrap/libexec/kube-endpoint show` has a line with `in` for every apiserver.
    """
    service = Service(
        description="Health of the Kubernetes API servers, for the proxy to them",
        documentation="https://kubernetes.io/docs/reference/using-api/health-checks/",
        command=(str(PROGRAM), "watch", str(interval(site.cluster))),
        limit_nofile=1024,
        stop_seconds=5,
        oom_score=NODE_OOM_SCORE,
        # On a busy host a slow watcher would find everybody else slow. It ends connections (sock_diag(7)) and writes
        # in /run, which `strict` forbids.
        options={"Nice": "-5", **CONFINED, "CapabilityBoundingSet": "CAP_NET_ADMIN", "ProtectSystem": "full"},
    )
    return [service.file(UNIT), Unit(UNIT, (unit_path(UNIT), PROGRAM, SERVERS))]


def interval(cluster: Cluster) -> int:
    """Seconds between two questions of a proxy to each apiserver: whole ones, so that a new worker changes no other."""
    proxies = sum(has_proxy(cluster, host) for host in cluster.hosts)
    return max(1, ceil(proxies / MOST_QUESTIONS))
