"""The operating system under everything else: modules, kernel parameters, names, logs, swap."""

from pathlib import PurePosixPath

from kbootstrap.components.binaries import LIBEXEC, OPT
from kbootstrap.components.site import Site
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.steps.block import Block
from kbootstrap.steps.command import Command
from kbootstrap.steps.file import Directory, File
from kbootstrap.steps.step import Step
from kbootstrap.steps.sysctl import Sysctls

MODULES_FILE = PurePosixPath("/etc/modules-load.d/kbootstrap.conf")
SYSCTL_FILE = PurePosixPath("/etc/sysctl.d/90-kbootstrap.conf")
JOURNAL_FILE = PurePosixPath("/etc/systemd/journald.conf.d/90-kbootstrap.conf")
JOURNAL_STAMP = PurePosixPath("/var/lib/kbootstrap/stamps/journald.conf")
HOSTS_FILE = PurePosixPath("/etc/hosts")

CONFIG_FOLDER = PurePosixPath("/etc/kbootstrap")
STATE_FOLDER = PurePosixPath("/var/lib/kbootstrap")

# Every pod takes an instance or two, every follower of a log some watches, all as root: the kernel's 128 instances
# end at 110 pods. These are twice what is customary on nodes.
_INOTIFY_SYSCTLS = {"fs.inotify.max_user_instances": "16384", "fs.inotify.max_user_watches": "1048576"}

_NODE_SYSCTLS = {
    # Pods are routed, and bridged packets must meet kube-proxy's rules (kubernetes.io, container runtimes).
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    **_INOTIFY_SYSCTLS,
    # kubelet sets these itself, or refuses to start with protectKernelDefaults (pkg/kubelet/cm, CIS 4.2).
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
}

_ETCD_SYSCTLS = {
    # Members' streams have a packet or two under way. One that is lost again and again is sent anew every 0.2 s, not
    # after 0.2, 0.4 and 0.8 s (ip-sysctl): a third loss in a row cost a leader its followers.
    "net.ipv4.tcp_thin_linear_timeouts": "1",
}

_IPVS_SYSCTLS = {"net.ipv4.vs.conntrack": "1"}  # kube-proxy: masquerading of IPVS connections

_TRACKING_SYSCTLS = {
    # What a kernel gives itself with more than 4 GiB (nf_conntrack_core.c). With 512 MiB it has room for 4,096: each
    # connection is remembered for two minutes after its end, so that 17 requests a second to an application (one
    # connection from the client, one to the worker) left no room, and new connections to anything came to nothing.
    "net.netfilter.nf_conntrack_max": "262144",
    "net.netfilter.nf_conntrack_buckets": "262144",
}

_REAL_SERVER_SYSCTLS = {
    # The VIP is on a control-plane host too, and only the director may answer when somebody asks who has it.
    "net.ipv4.conf.all.arp_ignore": "1",
    "net.ipv4.conf.all.arp_announce": "2",
}

_TUNNEL_SYSCTLS = {"net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.tunl0.rp_filter": "0"}  # answers go another way

_DIRECTOR_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    # A real server that is gone: its clients are told at once, instead of waiting for ever (ipvs-sysctl.txt).
    "net.ipv4.vs.expire_nodest_conn": "1",
    "net.ipv4.vs.expire_quiescent_template": "1",
}

_CONNECTION_SYNC_SYSCTLS = {
    # The others are told of a connection when it opens and then every two seconds in which it is used, so that also who
    # has just booted soon knows it. By default: at its packets 3, 53, 103, which idle ones never come to (ipvs-sysctl).
    "net.ipv4.vs.sync_threshold": "3 0",
    "net.ipv4.vs.sync_refresh_period": "2",
}

_VIP_SYSCTLS = {"net.ipv4.ip_nonlocal_bind": "1"}  # nginx listens on the VIP also while another host holds it


def host(site: Site) -> list[Step]:
    """Prepares the operating system; the host's name is not changed.

    Healthy when `sysctl --system` and `systemd-modules-load` find nothing to do and swap is off.
    """
    settings = site.cluster.settings.host
    folders = (CONFIG_FOLDER, STATE_FOLDER, OPT, LIBEXEC)
    steps: list[Step] = [
        *map(Directory, folders),
        *_modules(site),
        Sysctls(SYSCTL_FILE, _sysctls(site), at_least=frozenset(_INOTIFY_SYSCTLS | _TRACKING_SYSCTLS)),
    ]
    if settings.manage_hosts_file:
        steps.append(Block(HOSTS_FILE, "kbootstrap", _names(site.cluster)))
    steps += _journal(settings.journal_max_use)
    if settings.swap == "disable":
        steps.append(_swap_off())
    return steps


def modules(cluster: Cluster, host: Host) -> tuple[str, ...]:
    """The kernel modules that a host's daemons need."""
    lvs = cluster.lvs
    if host.is_load_balancer:
        return () if lvs is None else ("ip_vs", f"ip_vs_{lvs.scheduler}", "nf_conntrack")
    if not host.is_node:
        return ()
    ipvs = ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh")
    tunnelled = host.is_control_plane and lvs is not None and lvs.method == "tunnel"
    return (
        "overlay",
        "br_netfilter",
        "nf_conntrack",
        *(ipvs if cluster.settings.kube_proxy.mode == "ipvs" else ()),
        *(("ipip",) if tunnelled else ()),
    )


def _modules(site: Site) -> list[Step]:
    names = modules(site.cluster, site.host)
    if not names:
        return []
    # A container has the machine's modules and can load none. A module may also be built in.
    missing = (
        f"systemd-detect-virt --quiet --container || for m in {' '.join(names)}; do "
        '[ -d "/sys/module/$m" ] || grep -qs "/$m\\.ko" "/lib/modules/$(uname -r)/modules.builtin" || exit 1; done'
    )
    return [
        File(MODULES_FILE, "".join(f"{name}\n" for name in names).encode()),
        Command("load kernel modules", f"modprobe --all {' '.join(names)}", unless=missing),
    ]


def _sysctls(site: Site) -> dict[str, str]:
    settings = site.cluster.settings
    wanted: dict[str, str] = {}
    if site.host.is_node:
        wanted |= _NODE_SYSCTLS
        wanted |= _IPVS_SYSCTLS if settings.kube_proxy.mode == "ipvs" else {}
    if site.host.is_etcd:
        wanted |= _ETCD_SYSCTLS
    if site.host in site.cluster.vip_hosts or (site.host.is_control_plane and site.cluster.lvs is not None):
        wanted |= _VIP_SYSCTLS
    wanted |= _lvs_sysctls(site)
    return wanted | settings.host.sysctls


def _lvs_sysctls(site: Site) -> dict[str, str]:
    lvs = site.cluster.lvs
    if lvs is None:
        return {}
    if site.host.is_load_balancer:
        synced = _CONNECTION_SYNC_SYSCTLS if lvs.connection_sync else {}
        tracked = _IPVS_SYSCTLS | _TRACKING_SYSCTLS if lvs.method == "nat" else {}
        return _DIRECTOR_SYSCTLS | synced | tracked
    if not site.host.is_control_plane or lvs.method == "nat":
        return {}
    return _REAL_SERVER_SYSCTLS | (_TUNNEL_SYSCTLS if lvs.method == "tunnel" else {})


def _names(cluster: Cluster) -> str:
    return "".join(f"{host.address} {host.name}\n" for host in cluster.hosts)


def _journal(max_use: str) -> list[Step]:
    return [
        Directory(JOURNAL_FILE.parent),
        File(JOURNAL_FILE, f"[Journal]\nSystemMaxUse={max_use}\n".encode()),
        # journald has no reload, and its unit cannot be enabled: it is no Unit step's business.
        Command(
            "restart systemd-journald",
            f"systemctl restart systemd-journald\nmkdir -p {JOURNAL_STAMP.parent}\ncp {JOURNAL_FILE} {JOURNAL_STAMP}",
            unless=f"cmp -s {JOURNAL_FILE} {JOURNAL_STAMP}",
            inputs=(JOURNAL_FILE,),
        ),
    ]


def _swap_off() -> Step:
    """Masking keeps swap off over boots whatever asks for it: fstab, a partition's type, zram."""
    return Command(
        "turn swap off",
        "swapoff --all\nsystemctl mask --quiet swap.target",
        unless='[ "$(wc -l </proc/swaps)" -le 1 ] && [ "$(systemctl is-enabled swap.target)" = masked ]',
    )
