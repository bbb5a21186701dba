"""Operating system, kernel, tools, memory: what a machine is."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kbootstrap.components.host import modules
from kbootstrap.components.packages import has_edge
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.guard import Guard
from kbootstrap.facts.identity import HostIdentity, Identity
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.workflows.fitness.finding import Finding

ARCHITECTURES = ("x86_64",)
"""What the artifacts are made for."""

TESTED = {"debian": (12,), "ubuntu": (22, 4)}
"""The oldest releases that kbootstrap is tested on."""
FIRST_UBUNTU_WITH_EDGE = (24, 4)
"""Its Nginx has `ssl_reject_handshake` (1.19.4); that of 22.04 is 1.18."""
TESTED_TEXT = "Debian 12 and later, Ubuntu 22.04 and later"

OLDEST_KERNEL = (5, 4)
"""The first long-term kernel after 5.2; runc advises against older ones, whose freezer is unreliable
(Kubernetes documentation, "Linux Kernel Version Requirements")."""
OLDEST_NFTABLES_KERNEL = (5, 13)
"""For kube-proxy's nftables mode; same page."""

LEAST_MEMORY = 700 * 2**20
"""With less the daemons themselves do not fit: a control-plane host of ours uses 535 MB when idle (measured)."""
LEAST_BALANCER_MEMORY = 200 * 2**20
"""Of a load balancer, which has Nginx and keepalived alone."""
ADVISED_CONTROL_PLANE_MEMORY = 1700 * 10**6
ADVISED_CONTROL_PLANE_CPUS = 2
"""What kubeadm demands of a control-plane host."""

FIRST_WITHOUT_CGROUP_V1 = (1, 35)
"""From here on kubelet refuses cgroup v1 unless failCgroupV1 is false (KEP-5573)."""

TOOL_PACKAGES = {"base64": "coreutils", "sha256sum": "coreutils", "modprobe": "kmod", "ip": "iproute2"}
"""Where a package is not called like its tool."""

_LOADED = {
    "overlay": "grep -qw overlay /proc/filesystems",
    "br_netfilter": "[ -d /proc/sys/net/bridge ]",
    "ip_vs": "[ -e /proc/net/ip_vs ]",
}
"""How it shows that a module is there, also in a container. For others a container relies on the machine under it,
whose kernel loads what it is asked for."""
_WITHOUT_IPVS = ", or set kube_proxy: {mode: nftables}"
_WITHOUT_LVS = ", or leave load_balancer: {lvs: …} out: Nginx alone does it as well"
_WITHOUT_TUNNEL = ", or use another method than tunnel in load_balancer: {lvs: …}"


def machine_facts(cluster: Cluster, host: Host) -> Sequence[Fact[Any]]:
    """What `machine` needs beside the host's identity."""
    return [_module_guard(name) for name in modules(cluster, host)]


def machine(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    """What the machine is, and has."""
    identity = facts[Identity()]
    yield from _system(host, identity)
    yield from _edge(cluster, host, identity)
    yield from _kernel(cluster, host, identity)
    yield from _missing_modules(cluster, host, facts)
    yield from _cgroup(cluster, host, identity)
    yield from _resources(cluster, host, identity)


def _system(host: Host, identity: HostIdentity) -> Iterator[Finding]:
    if identity.arch not in ARCHITECTURES:
        yield Finding(
            host.name,
            "system",
            f"its architecture is {identity.arch}",
            f"kbootstrap supports {', '.join(ARCHITECTURES)}: use another machine",
        )
    missing = set(identity.missing_tools)
    os = f"{identity.os or 'an unknown system'} {identity.os_version}".strip()
    if "apt-get" in missing:
        yield Finding(
            host.name,
            "system",
            f"runs {os}, which has no apt",
            f"kbootstrap supports {TESTED_TEXT}: install one of them",
        )
    elif not _tested(identity):
        yield Finding(host.name, "system", f"runs {os}, which is not tested", f"tested are {TESTED_TEXT}", stops=False)
    if not identity.has_systemd or "systemctl" in missing:
        yield Finding(host.name, "system", "systemd does not run there", "boot it with systemd as its first process")
    lacking = sorted(missing - {"apt-get", "systemctl"})
    if lacking:
        packages = sorted({TOOL_PACKAGES.get(tool, tool) for tool in lacking})
        yield Finding(
            host.name, "system", f"lacks {', '.join(lacking)}", f"on the host: apt-get install {' '.join(packages)}"
        )


def _tested(identity: HostIdentity) -> bool:
    oldest = TESTED.get(identity.os)
    return oldest is not None and _numbers(identity.os_version) >= oldest


def _edge(cluster: Cluster, host: Host, identity: HostIdentity) -> Iterator[Finding]:
    if has_edge(cluster, host) and identity.os == "ubuntu" and _numbers(identity.os_version) < FIRST_UBUNTU_WITH_EDGE:
        yield Finding(
            host.name,
            "system",
            f"the Nginx of Ubuntu {identity.os_version} cannot refuse a name without a certificate (before 1.19.4)",
            "use Debian 12 or Ubuntu 24.04 on the load balancers",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _kernel(cluster: Cluster, host: Host, identity: HostIdentity) -> Iterator[Finding]:
    nftables = host.is_node and cluster.settings.kube_proxy.mode == "nftables"
    oldest = OLDEST_NFTABLES_KERNEL if nftables else OLDEST_KERNEL
    if _numbers(identity.kernel) >= oldest:
        return
    wanted = ".".join(str(number) for number in oldest)
    reason = ", which kube-proxy's nftables mode needs" if nftables else ""
    other = ", or set kube_proxy: {mode: iptables}" if nftables and _numbers(identity.kernel) >= OLDEST_KERNEL else ""
    yield Finding(
        host.name,
        "system",
        f"its kernel is {identity.kernel}, older than {wanted}{reason}",
        f"install a kernel of {wanted} or later and reboot{other}",
    )


def _module_guard(name: str) -> Guard:
    loaded = _LOADED.get(name, "systemd-detect-virt --quiet --container")
    return Guard(f"{loaded} || [ -d /sys/module/{name} ] || modprobe --dry-run --quiet {name}")


def _missing_modules(cluster: Cluster, host: Host, facts: Facts) -> Iterator[Finding]:
    for name in modules(cluster, host):
        if not facts[_module_guard(name)]:
            without = {"ip_vs": _WITHOUT_LVS if host.is_load_balancer else _WITHOUT_IPVS, "ipip": _WITHOUT_TUNNEL}
            other = next((way for prefix, way in without.items() if name.startswith(prefix)), "")
            yield Finding(
                host.name,
                "system",
                f"its kernel has no {name}, neither built in nor as a module",
                f"install the distribution's full kernel package{other}",
            )


def _cgroup(cluster: Cluster, host: Host, identity: HostIdentity) -> Iterator[Finding]:
    told = cluster.settings.kubelet.config.get("failCgroupV1") is False
    if told or not host.is_node or identity.cgroup_version != 1:
        return
    version = cluster.kubernetes
    yield Finding(
        host.name,
        "system",
        f"runs cgroup v1, which kubelet {version} does not support",
        "boot it with systemd.unified_cgroup_hierarchy=1, or set kubelet: {config: {failCgroupV1: false}}",
        stops=(version.major, version.minor) >= FIRST_WITHOUT_CGROUP_V1,
    )


def _resources(cluster: Cluster, host: Host, identity: HostIdentity) -> Iterator[Finding]:
    memory = f"has {identity.memory_bytes / 1e6:.0f} MB of memory"
    least = LEAST_BALANCER_MEMORY if host.is_load_balancer else LEAST_MEMORY
    if identity.memory_bytes < least:
        yield Finding(host.name, "resources", f"{memory}; {least / 1e6:.0f} MB are the least", "give it more memory")
    elif host.is_control_plane and identity.memory_bytes < ADVISED_CONTROL_PLANE_MEMORY:
        yield Finding(
            host.name,
            "resources",
            f"{memory}; a control-plane host should have {ADVISED_CONTROL_PLANE_MEMORY / 1e6:.0f} MB",
            "give it more memory, or expect it to run short under load",
            stops=False,
        )
    if host.is_control_plane and identity.cpus < ADVISED_CONTROL_PLANE_CPUS:
        yield Finding(
            host.name,
            "resources",
            f"has {identity.cpus} CPU; a control-plane host should have {ADVISED_CONTROL_PLANE_CPUS}",
            "give it another CPU",
            stops=False,
        )
    if identity.swap_bytes and host.is_node and cluster.settings.host.swap == "refuse":
        yield Finding(
            host.name,
            "resources",
            f"swaps ({identity.swap_bytes / 1e6:.0f} MB), and kubelet refuses that",
            "on the host: swapoff -a, and take swap out of /etc/fstab; or set host: {swap: disable}"
            " (kbootstrap turns it off) or {swap: allow}",
        )
