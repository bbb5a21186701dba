"""The steps of `reset`: what takes everything of kbootstrap's off a host again. Pure.

Every step is a command with a guard that tells whether there is anything to do, so that a reset can be planned,
repeated, and continued. Only what is ours is touched: a unit or a link of that name that does not lead to our
folder is somebody else's. Data are deleted within their own file system only, never through a mount.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.components import containerd, edge, endpoint, etcd, flannel, kube_apiserver, kube_proxy, kubelet, nginx
from kbootstrap.components import host as host_files
from kbootstrap.components.backup import FOLDER as BACKUPS
from kbootstrap.components.binaries import LOCAL_BIN, OPT
from kbootstrap.components.handover import TABLE as HANDOVER_TABLE
from kbootstrap.components.keepalived import MASQUERADE_TABLE
from kbootstrap.components.registries import CERTS
from kbootstrap.components.service import UNITS
from kbootstrap.facts.guard import Guard
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.pki import paths
from kbootstrap.steps.block import Block
from kbootstrap.steps.command import Command
from kbootstrap.steps.package import INSTALLED
from kbootstrap.steps.step import Step, quote
from kbootstrap.workflows.footprint import ALL_UNITS

MARKS = PurePosixPath("/var/lib/kbootstrap")
KEPT = PurePosixPath("/var/backups/kbootstrap")
"""Where --keep-data puts etcd's data, the keys, and the backups that are on the host."""

_END_PROCESSES_TRIES = 100
_SHUTDOWN_INHIBITOR = PurePosixPath("/etc/systemd/logind.conf.d/99-kubelet.conf")
"""Written by kubelet for its graceful shutdown."""
_SCRIPT_KIB = 8
"""Commands of ours that are scripts are shorter than this; what is longer is not looked into."""


@dataclass(frozen=True, slots=True)
class Removal:
    """How far a reset goes. `kept` is the folder for what is put aside, None when nothing is."""

    kept: PurePosixPath | None = None
    packages: bool = False


def concerned(removal: Removal) -> Guard:
    """Whether kbootstrap has been on the host: the first thing that it makes there is the folder of its marks."""
    installed = f" || [ -s {INSTALLED} ]" if removal.packages else ""
    return Guard(f"[ -e {MARKS} ] || [ -e {OPT} ] || [ -e {nginx.CONFIG.parent} ]{installed}")


def services(cluster: Cluster, host: Host, removal: Removal) -> list[Step]:
    """Every unit of ours is stopped. The apiservers are not waited for: nobody is to be served any more."""
    ours = " ".join(str(UNITS / unit) for unit in ALL_UNITS)
    apiserver = kube_apiserver.UNIT
    return [
        Command(
            "stop the services",
            f"""\
set --
for file in $(grep -lF kbootstrap {ours} 2>/dev/null); do set -- "$@" "${{file##*/}}"; done
[ $# -gt 0 ] || exit 0
systemctl disable --quiet "$@"
systemctl stop --no-block "$@"
case " $* " in *" {apiserver} "*) systemctl kill --signal=KILL {apiserver} 2>/dev/null || true ;; esac
systemctl stop "$@\"""",
            unless=f"! grep -qF kbootstrap {ours}",
        )
    ]


_OUR_PROCESSES = f"""\
root=$(sed -nE 's/^(0::|[0-9]+:name=systemd:)//p' /proc/1/cgroup | head -n 1); root=${{root%/init.scope}}
leftover() {{
  grep -lsF ":${{root%/}}/kubepods" /proc/[0-9]*/cgroup | cut -d/ -f3
  ls -l /proc/[0-9]*/exe 2>/dev/null | sed -n 's|.* /proc/\\([0-9]*\\)/exe -> {OPT}/.*|\\1|p'
}}
"""
"""Processes in pods (below this host's own cgroup), and whatever still runs a program of ours."""

_POD_SLICE = "kubepods.slice"

_MOUNTED = (
    "awk '{ print $2 }' /proc/self/mounts | sort -r |"
    f" grep -E '^({kubelet.FOLDER}|/var/lib/containerd|/run/containerd)/|^/run/netns/cni-'"
)
"""Mounts below our folders; the folders themselves may be disks of their own, and stay mounted."""


def workloads(cluster: Cluster, host: Host, removal: Removal) -> list[Step]:
    """Containers end, their mounts go."""
    return [
        Command(
            "end the containers",
            f"""\
{_OUR_PROCESSES}
tries=0
while processes=$(leftover) && [ -n "$processes" ]; do
  [ "$tries" -lt {_END_PROCESSES_TRIES} ] || {{ echo "these processes do not end: $processes" >&2; exit 1; }}
  kill -KILL $processes 2>/dev/null || true
  tries=$((tries + 1)); sleep 0.1
done
systemctl stop {_POD_SLICE} 2>/dev/null || true""",
            unless=f'{_OUR_PROCESSES}[ -z "$(leftover)" ] && ! systemctl is-active --quiet {_POD_SLICE}',
        ),
        Command(
            "unmount the pods' volumes",
            f"""\
{{ {_MOUNTED} || true; }} | while read -r path; do
  path=$(printf '%b' "$path"); umount "$path" 2>/dev/null || umount --lazy "$path"
done
rm -f /run/netns/cni-*
! {_MOUNTED} >&2""",
            unless=f"! {_MOUNTED}",
        ),
    ]


def network(cluster: Cluster, host: Host, removal: Removal) -> list[Step]:
    """Interfaces, firewall rules, routes and addresses that our services made."""
    links = f"flannel.{flannel.VXLAN_ID} cni0 kube-ipvs0"
    return [
        _unless_found(
            "remove the network's interfaces",
            "[ ! -e /sys/class/net/kube-ipvs0 ] || ipvsadm --clear\n"
            f"for link in {links}; do [ ! -e /sys/class/net/$link ] || ip link delete $link; done",
            f"ls -d {' '.join(f'/sys/class/net/{link}' for link in links.split())}",
        ),
        _unless_found(
            "remove the nftables rules",
            f"{_NFT_TABLES} | while read -r _ family name; do nft delete table $family $name; done",
            _NFT_TABLES,
        ),
        _unless_found(
            "remove the iptables rules",
            "for family in iptables ip6tables; do\n"
            f"  ! $family-save | grep -qE '{_CHAINS}' || $family-save | grep -vE '{_CHAINS}' | $family-restore\n"
            "done",
            f"{{ iptables-save; ip6tables-save; }} | grep -E '{_CHAINS}'",
        ),
        _unless_found(
            "remove the routes to pods",
            f"ip route flush root {cluster.settings.network.pods}",
            f"ip route show root {cluster.settings.network.pods} | grep .",
        ),
        *_forwarding(cluster, host),
        *_virtual_addresses(cluster),
    ]


_NFT_NAMES = ("kube-proxy", "flannel-ipv4", "flannel-ipv6", "cni_hostport", MASQUERADE_TABLE, HANDOVER_TABLE)
_NFT_TABLES = f"nft list tables | grep -E ' ({'|'.join(_NFT_NAMES)})$'"
_CHAINS = "KUBE-|FLANNEL-|CNI-"
"""What the names of all chains of kube-proxy, kubelet, flannel and the CNI plugins begin with."""


def _forwarding(cluster: Cluster, host: Host) -> list[Step]:
    """A keepalived that was killed has left its table; what others forward with it stays."""
    endpoint = cluster.settings.endpoint
    if not host.is_load_balancer or endpoint.vip is None:
        return []
    service = f"{endpoint.vip}:{endpoint.port}"
    table = "[ ! -e /proc/net/ip_vs ] || ipvsadm --save --numeric"  # it would load the module
    return [
        _unless_found(
            f"forward {service} no longer",
            f"ipvsadm --delete-service --tcp-service {service}",
            f"{{ {table}; }} | grep -F -- '-A -t {service} '",
        )
    ]


def _virtual_addresses(cluster: Cluster) -> list[Step]:
    steps: list[Step] = []
    for vip in cluster.vips:
        shown = f"ip -4 -o address show to {vip}/32"
        drop = f'{shown} | while read -r _ device _ address _; do ip address delete "$address" dev "$device"; done'
        steps.append(_unless_found(f"give the VIP {vip} up", drop, f"{shown} | grep ."))
    return steps


def state(cluster: Cluster, host: Host, removal: Removal) -> list[Step]:
    """Data and logs; etcd's data, the keys and the backups are put aside first if they are to be kept."""
    steps: list[Step] = []
    if removal.kept is not None:
        steps.append(_put_aside(removal.kept))
    folders = (
        etcd.DATA,
        kubelet.FOLDER,
        kube_proxy.FOLDER,
        PurePosixPath("/var/lib/containerd"),
        PurePosixPath("/var/lib/cni"),
        PurePosixPath("/run/containerd"),
        endpoint.FOLDER,
        edge.LOGS,
        flannel.SUBNET_FILE.parent,
        PurePosixPath("/var/log/pods"),
        PurePosixPath("/var/log/containers"),
        PurePosixPath("/var/log/kubernetes"),
    )
    return [*steps, emptied("delete the data", folders)]


def _put_aside(kept: PurePosixPath) -> Step:
    sources = f"{etcd.DATA / 'member'} {paths.PKI} {paths.ENCRYPTION_CONFIG} {BACKUPS}"
    return _unless_found(
        f"put etcd's data, the keys and the backups aside, in {kept}",
        f"umask 077; mkdir -p {kept}\nfor path in {sources}; do [ ! -e $path ] || mv $path {kept}/; done\nsync {kept}",
        f"ls -d {sources}",
    )


def programs(cluster: Cluster, host: Host, removal: Removal) -> list[Step]:
    """Units, configuration, keys, binaries, and the links to them."""
    units = " ".join(str(UNITS / unit) for unit in ALL_UNITS)
    commands = (
        f'set -- {LOCAL_BIN}; [ ! -d {containerd.CNI_BIN} ] || set -- "$@" {containerd.CNI_BIN}\n'
        f"find \"$@\" -maxdepth 1 \\( -type l -lname '{OPT}/*'"
        f" -o -type f -size -{_SCRIPT_KIB}k -exec grep -qF {OPT}/ {{}} \\; \\)"
    )
    files = (
        containerd.CONFIG,
        containerd.CRICTL_CONFIG,
        containerd.CNI_CONFIG / flannel.CONFLIST,
        flannel.NETWORK_CONFIG,
        etcd.INITIAL_CLUSTER,
        _SHUTDOWN_INHIBITOR,
    )
    folders = (*(file.parent for file in files if file != containerd.CRICTL_CONFIG), containerd.CNI_CONFIG.parent)
    return [
        _unless_found(
            "remove the units",
            f"rm -f $(grep -lF kbootstrap {units})\nsystemctl daemon-reload\n"
            f"systemctl reset-failed {' '.join(ALL_UNITS)} 2>/dev/null || true",
            f"grep -lF kbootstrap {units}",
        ),
        _unless_found(
            "remove the commands",
            f"{commands} -exec rm -f {{}} +\n"
            f"rmdir {containerd.CNI_BIN} {containerd.CNI_BIN.parent} 2>/dev/null || true",
            f"{commands} -print",
        ),
        emptied(
            "delete keys and programs",
            (paths.KUBERNETES, CERTS, nginx.CONFIG.parent, PurePosixPath("/opt/containerd"), OPT),
        ),
        _unless_found(
            "remove the configuration",
            f"rm -f {_joined(files)}\nrmdir {_joined(folders)} 2>/dev/null || true",
            f"ls -d {_joined(files)}",
        ),
    ]


def system(cluster: Cluster, host: Host, removal: Removal) -> list[Step]:
    """What was set in the operating system."""
    files = (host_files.MODULES_FILE, host_files.SYSCTL_FILE, host_files.JOURNAL_FILE, edge.ROTATION)
    steps: list[Step] = [
        Block(host_files.HOSTS_FILE, "kbootstrap", ""),
        _unless_found(
            "remove kernel and journal settings",
            f"rm -f {_joined(files)}\nsystemctl restart systemd-journald",
            f"ls -d {_joined(files)}",
        ),
        Command(f"remove the user {etcd.USER}", f"userdel {etcd.USER}", unless=f"! {_OUR_ETCD_USER}"),
    ]
    if cluster.settings.host.swap == "disable":
        steps.append(
            Command(
                "let swap be used again",
                "systemctl unmask --quiet swap.target",
                unless='[ "$(systemctl is-enabled swap.target)" != masked ]',
            )
        )
    if removal.packages:
        steps.append(
            _unless_found(
                "remove the packages that kbootstrap installed",
                f"DEBIAN_FRONTEND=noninteractive dpkg --purge $(sort -u {INSTALLED})\nrm -f {INSTALLED}",
                f"ls {INSTALLED}",
            )
        )
    return steps


_OUR_ETCD_USER = f"getent passwd {etcd.USER} | grep -qF ':{etcd.DATA}:/usr/sbin/nologin'"


def marks(cluster: Cluster, host: Host, removal: Removal) -> list[Step]:
    """Our own folder. The journal stays: it tells that, and by whom, the host was reset."""
    return [emptied("remove the marks", (PurePosixPath("/var/cache/kbootstrap"), MARKS))]


PHASES: Mapping[str, Callable[[Cluster, Host, Removal], list[Step]]] = {
    "services": services,
    "workloads": workloads,
    "network": network,
    "state": state,
    "programs": programs,
    "system": system,
    "marks": marks,
}
"""By the names of playbooks/reset.yml."""


def _unless_found(title: str, script: str, found: str) -> Command:
    """Runs where `found` prints something."""
    return Command(title, script, unless=f'[ -z "$( {found} )" ]')


def _joined(values: Iterable[object]) -> str:
    return " ".join(quote(value) for value in values)


def emptied(title: str, folders: tuple[PurePosixPath, ...]) -> Command:
    """Deletes folders; of one that is a disk of its own, what is in it."""
    names = _joined(folders)
    return Command(
        title,
        f"for folder in {names}; do\n"
        '  [ -d "$folder" ] || continue\n'
        '  find "$folder" -xdev -mindepth 1 -delete\n'
        '  rmdir "$folder" 2>/dev/null || mountpoint -q "$folder"\n'
        "done",
        unless=f"for folder in {names}; do\n"
        '  [ ! -d "$folder" ] || { mountpoint -q "$folder" && [ -z "$(ls -A "$folder")" ]; } || exit 1\n'
        "done",
    )
