"""What must be on a host, by its roles: stated here once more, so that a mistake in what installs it shows.

It is a second opinion: nothing of the components is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.model.load_balancer import Lvs
from kbootstrap.pki import paths

ETCD_PKI = paths.ETCD_CA_CERTIFICATE.parent
KUBELET_PKI = "/var/lib/kubelet/pki"

ANYWHERE = "any address"
"""Of a socket: a wildcard address."""

NODE_PORT_HEALTH = 10256
BALANCED = 6445
"""Where proxies of control-plane hosts are asked by directors."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that must be installed, by Debian's name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port, and all the addresses that something listens on it at."""

    number: int
    owner: str
    addresses: frozenset[str]

    def __str__(self) -> str:
        return f"{self.owner}, {self.number}"


@dataclass(frozen=True, slots=True)
class RealServer:
    """Where a director hands connections on to, and how: its weight, after the flag that ipvsadm has for the method."""

    name: str
    address: str
    terms: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """A certificate, who must have signed it, and what it must at least say."""

    path: str
    authority: str
    common_name: str
    organizations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()
    server: bool = False
    client: bool = False

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Private:
    """A file or folder that is its owner's alone."""

    path: str
    owner: str = "root"

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A kernel parameter."""

    name: str
    value: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag that a daemon must have been started with."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"--{self.name}"


def has_proxy(cluster: Cluster, host: Host) -> bool:
    """Whether an nginx on the host spreads connections over the apiservers."""
    if cluster.settings.load_balancer.lvs is not None and cluster.load_balancers:
        return host.is_control_plane
    return holds_vip(cluster, host) or (cluster.settings.endpoint.mode == "local" and host.is_node)


def holds_vip(cluster: Cluster, host: Host) -> bool:
    """Whether the host may hold the virtual IP."""
    endpoint = cluster.settings.endpoint
    if endpoint.vip is None:
        return False
    return host.is_load_balancer if endpoint.mode == "external" else host.is_control_plane


def is_real_server(cluster: Cluster, host: Host) -> bool:
    """Whether directors hand connections for the virtual IP on to the host as they are, so that it has the VIP too."""
    return host.is_control_plane and cluster.lvs is not None and cluster.lvs.method != "nat"


def is_director(cluster: Cluster, host: Host) -> bool:
    """Whether the kernel of the host hands connections for the virtual IP on, so that it has none there itself."""
    return host.is_load_balancer and cluster.lvs is not None


def has_edge(cluster: Cluster, host: Host) -> bool:
    """Whether an nginx on the host makes applications reachable from outside."""
    return host.is_load_balancer and bool(cluster.settings.applications)


def packages(cluster: Cluster, host: Host) -> tuple[Package, ...]:
    names: list[str] = []
    if host.is_node:
        names += ["conntrack", "iptables", "nftables", "socat"]
        names += ["ipset", "ipvsadm"] if cluster.settings.kube_proxy.mode == "ipvs" else []
    if has_proxy(cluster, host):
        names += ["nginx", "libnginx-mod-stream"]
    if holds_vip(cluster, host):
        names += ["keepalived"]
        names += ["ipvsadm"] if cluster.lvs is not None else []
    if has_edge(cluster, host):
        names += ["logrotate"]
    return tuple(Package(name) for name in names)


def modules(cluster: Cluster, host: Host) -> tuple[str, ...]:
    if cluster.lvs is not None and is_director(cluster, host):
        return ("ip_vs", f"ip_vs_{cluster.lvs.scheduler}")
    if not host.is_node:
        return ()
    return ("overlay", "br_netfilter", *(("ip_vs",) if cluster.settings.kube_proxy.mode == "ipvs" else ()))


def sysctls(cluster: Cluster, host: Host) -> tuple[Sysctl, ...]:
    wanted: dict[str, str] = {}
    if host.is_node:
        wanted |= {
            "net.ipv4.ip_forward": "1",
            "net.bridge.bridge-nf-call-iptables": "1",
            "kernel.panic": "10",
            "kernel.panic_on_oops": "1",
            "vm.overcommit_memory": "1",
        }
    if host.is_etcd:
        wanted["net.ipv4.tcp_thin_linear_timeouts"] = "1"
    if holds_vip(cluster, host):
        wanted["net.ipv4.ip_nonlocal_bind"] = "1"
    if is_real_server(cluster, host):
        wanted |= {"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"}
    if cluster.lvs is not None and is_director(cluster, host):
        wanted |= {"net.ipv4.ip_forward": "1"}
        wanted |= _lvs_sysctls(cluster.lvs)
    return tuple(Sysctl(*pair) for pair in (wanted | cluster.settings.host.sysctls).items())


def _lvs_sysctls(lvs: Lvs) -> dict[str, str]:
    wanted = {f"net.ipv4.vs.expire_{what}": "1" for what in ("nodest_conn", "quiescent_template")}
    if lvs.connection_sync:
        wanted |= {"net.ipv4.vs.sync_threshold": "3 0", "net.ipv4.vs.sync_refresh_period": "2"}
    return wanted | ({"net.ipv4.vs.conntrack": "1"} if lvs.method == "nat" else {})


def real_servers(cluster: Cluster, host: Host) -> tuple[RealServer, ...]:
    """Whom a director's table has while nobody is out for planned work; no more than these."""
    lvs = cluster.lvs
    if lvs is None or not is_director(cluster, host):
        return ()
    port = BALANCED if lvs.method == "nat" else cluster.settings.endpoint.port
    terms = {"dr": "-g 100", "tunnel": "-i 100", "nat": "-m 100"}[lvs.method]
    return tuple(RealServer(one.name, f"{one.address}:{port}", terms) for one in cluster.control_planes)


def units(cluster: Cluster, host: Host) -> tuple[str, ...]:
    """The daemons that run and start at boot, without `.service`."""
    flannel = cluster.settings.network.cni == "flannel"
    return (
        *(("etcd",) if host.is_etcd else ()),
        *(("kube-apiserver", "kube-controller-manager", "kube-scheduler") if host.is_control_plane else ()),
        *(("kube-endpoint-nginx", "kube-endpoint-watch") if has_proxy(cluster, host) else ()),
        *(("kube-endpoint-keepalived",) if holds_vip(cluster, host) else ()),
        *(("kube-endpoint-address",) if is_real_server(cluster, host) else ()),
        *(("kube-edge-nginx",) if has_edge(cluster, host) else ()),
        *(("containerd", "kubelet", "kube-proxy") if host.is_node else ()),
        *(("flanneld",) if host.is_node and flannel else ()),
    )


def binaries(cluster: Cluster, host: Host) -> tuple[str, ...]:
    """The components with programs below /opt/kbootstrap."""
    flannel = cluster.settings.network.cni == "flannel"
    return (
        *(("etcd",) if host.is_etcd else ()),
        *(("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl") if host.is_control_plane else ()),
        *(("containerd", "runc", "crictl", "cni-plugins", "kubelet", "kube-proxy") if host.is_node else ()),
        *(("flannel",) if host.is_node and flannel else ()),
    )


def of_kubernetes(component: str) -> bool:
    """Whether the component's version is that of Kubernetes."""
    return component.startswith("kube")


def ports(cluster: Cluster, host: Host) -> tuple[Port, ...]:
    own, loopback, anywhere = str(host.address), "127.0.0.1", ANYWHERE
    found: list[tuple[int, str, set[str]]] = []
    if host.is_etcd:
        found += [(2379, "etcd", {own, loopback}), (2380, "etcd", {own}), (2381, "etcd", {loopback})]
    if host.is_control_plane:
        found += [(10257, "kube-controller-manager", {loopback}), (10259, "kube-scheduler", {loopback})]
    if host.is_node:
        found += [
            (10248, "kubelet", {loopback}),
            (10250, "kubelet", {anywhere}),
            (10255, "kubelet, read-only", set()),
            (10249, "kube-proxy", {loopback}),
            (NODE_PORT_HEALTH, "kube-proxy", {anywhere}),
        ]
    if has_edge(cluster, host):
        vips = {str(vip) for vip in cluster.vips}
        applications = cluster.settings.applications
        found += [(80, "applications", vips), (443, "applications", vips), (6446, "applications' health", {loopback})]
        found += [(one.port, f"application {name}", vips) for name, one in applications.items() if one.port]
    if host.is_control_plane and cluster.lvs is not None:
        found.append((BALANCED, "Kubernetes API, for directors", {own}))
    api = _api_addresses(cluster, host)
    if api:
        found.append((cluster.settings.endpoint.port, "Kubernetes API", api))
    return tuple(Port(number, owner, frozenset(addresses)) for number, owner, addresses in found)


def _api_addresses(cluster: Cluster, host: Host) -> set[str]:
    return {
        *([str(host.address)] if host.is_control_plane else []),
        *(["127.0.0.1"] if has_proxy(cluster, host) else []),
        *([str(cluster.settings.endpoint.vip)] if _listens_at_vip(cluster, host) else []),
    }


def _listens_at_vip(cluster: Cluster, host: Host) -> bool:
    return is_real_server(cluster, host) if cluster.lvs is not None else holds_vip(cluster, host)


def certificates(cluster: Cluster, host: Host) -> tuple[CertificateFile, ...]:
    """Certificates in files of their own, except the authorities'."""
    return (
        *(_etcd_certificates(host) if host.is_etcd else ()),
        *(_control_plane_certificates(cluster, host) if host.is_control_plane else ()),
        *((_kubelet_certificate(host),) if host.is_node else ()),
    )


def _etcd_certificates(host: Host) -> tuple[CertificateFile, ...]:
    authority = str(paths.ETCD_CA_CERTIFICATE)
    addresses = (host.address, IPv4Address("127.0.0.1"))
    return (
        *(
            CertificateFile(
                f"{ETCD_PKI}/{name}.crt", authority, host.name, addresses=addresses, server=True, client=True
            )
            for name in ("server", "peer")
        ),
        CertificateFile(f"{ETCD_PKI}/healthcheck-client.crt", authority, "kube-etcd-healthcheck-client", client=True),
    )


def _control_plane_certificates(cluster: Cluster, host: Host) -> tuple[CertificateFile, ...]:
    domain = cluster.settings.network.domain
    vip = cluster.settings.endpoint.vip
    serving = CertificateFile(
        f"{paths.PKI}/apiserver.crt",
        str(paths.CA_CERTIFICATE),
        "kube-apiserver",
        names=("localhost", "kubernetes", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}", host.name),
        addresses=(IPv4Address("127.0.0.1"), host.address, cluster.service_address, *((vip,) if vip else ())),
        server=True,
    )
    clients = (
        ("apiserver-kubelet-client", paths.CA_CERTIFICATE, "kube-apiserver-kubelet-client"),
        ("apiserver-etcd-client", paths.ETCD_CA_CERTIFICATE, "kube-apiserver-etcd-client"),
        ("front-proxy-client", paths.FRONT_PROXY_CA_CERTIFICATE, "front-proxy-client"),
    )
    return (
        serving,
        *(
            CertificateFile(f"{paths.PKI}/{file}.crt", str(authority), name, client=True)
            for file, authority, name in clients
        ),
    )


def _kubelet_certificate(host: Host) -> CertificateFile:
    return CertificateFile(
        f"{KUBELET_PKI}/kubelet.crt",
        str(paths.CA_CERTIFICATE),
        f"system:node:{host.name}",
        ("system:nodes",),
        names=(host.name,),
        addresses=(host.address,),
        server=True,
    )


def kubeconfigs(cluster: Cluster, host: Host) -> tuple[CertificateFile, ...]:
    """The client certificates inside kubeconfigs."""
    flannel = cluster.settings.network.cni == "flannel"
    users: list[tuple[str, str, tuple[str, ...]]] = []
    if host.is_control_plane:
        users += [
            ("admin", "kubernetes-admin", ("system:masters",)),
            ("controller-manager", "system:kube-controller-manager", ()),
            ("scheduler", "system:kube-scheduler", ()),
        ]
    if host.is_node:
        users += [
            ("kubelet", f"system:node:{host.name}", ("system:nodes",)),
            ("kube-proxy", "system:kube-proxy", ()),
            *([("flannel", "flannel", ())] if flannel else []),
        ]
    return tuple(
        CertificateFile(f"{paths.KUBERNETES}/{file}.conf", str(paths.CA_CERTIFICATE), user, groups, client=True)
        for file, user, groups in users
    )


def authorities(_cluster: Cluster, host: Host) -> tuple[str, ...]:
    """The authorities' certificates."""
    here = [paths.CA_CERTIFICATE, paths.ETCD_CA_CERTIFICATE]
    here += [paths.FRONT_PROXY_CA_CERTIFICATE] if host.is_control_plane else []
    return tuple(str(path) for path in here)


def secrets(cluster: Cluster, host: Host) -> tuple[Private, ...]:
    """Private keys, and files that have one inside."""
    own = [certificate.path.replace(".crt", ".key") for certificate in certificates(cluster, host)]
    own += [kubeconfig.path for kubeconfig in kubeconfigs(cluster, host)]
    if host.is_control_plane:
        keys = (paths.CA_KEY, paths.ETCD_CA_KEY, paths.FRONT_PROXY_CA_KEY, paths.SERVICE_ACCOUNT_PRIVATE)
        own += [str(path) for path in (*keys, paths.ENCRYPTION_CONFIG)]
    if has_edge(cluster, host):
        served = (name for name, one in cluster.settings.applications.items() if one.key)
        own += [f"/etc/kbootstrap/edge/{name}.key" for name in served]
    etcds = {f"{ETCD_PKI}/server.key", f"{ETCD_PKI}/peer.key"}
    return tuple(Private(path, "etcd" if path in etcds else "root") for path in own)


def folders(cluster: Cluster, host: Host) -> tuple[Private, ...]:
    """Folders that only their owner may look into."""
    audited = host.is_control_plane and cluster.settings.kube_apiserver.audit_log_days > 0
    return (
        *((Private("/var/lib/etcd", "etcd"),) if host.is_etcd else ()),
        *((Private("/var/lib/kubelet"), Private(KUBELET_PKI)) if host.is_node else ()),
        *((Private("/var/log/kubernetes/audit"),) if audited else ()),
    )


def apiserver_flags(cluster: Cluster, _host: Host) -> tuple[Flag, ...]:
    """What matters most of the CIS benchmark's section 1.2, unless the inventory says something else."""
    wanted: Mapping[str, str] = {
        "authorization-mode": "Node,RBAC",
        "client-ca-file": str(paths.CA_CERTIFICATE),
        "etcd-cafile": str(paths.ETCD_CA_CERTIFICATE),
        "kubelet-certificate-authority": str(paths.CA_CERTIFICATE),
        "encryption-provider-config": str(paths.ENCRYPTION_CONFIG),
        "service-account-signing-key-file": str(paths.SERVICE_ACCOUNT_PRIVATE),
        "tls-min-version": "VersionTLS12",
        "profiling": "false",
    }
    overridden = {name.lstrip("-") for name in cluster.settings.kube_apiserver.extra_args}
    return tuple(Flag(name, value) for name, value in wanted.items() if name not in overridden)
