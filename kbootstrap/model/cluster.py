"""The cluster that an inventory means: every host resolved, every default filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path

from kbootstrap.model.applications import Application
from kbootstrap.model.load_balancer import Lvs, router_id
from kbootstrap.model.settings import Settings
from kbootstrap.model.versions import Version


class Role(StrEnum):
    """What a host is for."""

    CONTROL_PLANE = "control-plane"
    ETCD = "etcd"
    WORKER = "worker"
    LOAD_BALANCER = "load-balancer"


class HostKeys(StrEnum):
    """What to do with a host key that is not known yet. A key that has changed is always refused."""

    STRICT = "strict"
    ACCEPT_NEW = "accept-new"


class Sudo(StrEnum):
    """How a login becomes root."""

    NONE = "none"
    NOPASSWD = "nopasswd"
    PASSWORD = "password"  # noqa: S105 - a mode, not a password


class PasswordKind(StrEnum):
    """Where a password comes from."""

    PROMPT = "prompt"
    ENVIRONMENT = "env"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """Where to get a password when it is needed; never the password itself."""

    kind: PasswordKind = PasswordKind.PROMPT
    name: str = ""
    """The environment variable's name, or the file's path. The file's last line break does not count."""


@dataclass(frozen=True, slots=True)
class Ssh:
    """How to log in to a host."""

    user: str = "root"
    port: int = 22
    identity_file: Path | None = None
    agent: bool = True
    config_file: Path | None = None
    known_hosts: Path | None = None
    host_keys: HostKeys = HostKeys.STRICT
    jump: tuple[str, ...] = ()
    """Hosts to go through, outermost first, each `[user@]host[:port]`."""
    sudo: Sudo = Sudo.NONE
    sudo_password: PasswordSource | None = None
    """Set exactly when `sudo` is PASSWORD."""


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint of a node."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@dataclass(frozen=True, slots=True)
class Host:
    """One machine: its name in the cluster, its address towards the other hosts, and how to log in to it."""

    name: str
    address: IPv4Address
    roles: frozenset[Role]
    ssh: Ssh = Ssh()
    ssh_address: str | None = None
    """Where SSH finds it, when that is not `address`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    variables: Mapping[str, object] = field(default_factory=dict)
    """The user's own values, for the templates of the user's own playbooks."""

    @property
    def is_control_plane(self) -> bool:
        return Role.CONTROL_PLANE in self.roles

    @property
    def is_etcd(self) -> bool:
        return Role.ETCD in self.roles

    @property
    def is_node(self) -> bool:
        """Whether a kubelet runs on it."""
        return self.is_control_plane or self.is_worker

    @property
    def is_load_balancer(self) -> bool:
        """Whether it holds virtual IPs in front of the cluster, and gives their connections to it."""
        return Role.LOAD_BALANCER in self.roles

    @property
    def is_worker(self) -> bool:
        """Whether it runs applications. A control-plane host that is a worker too is not tainted."""
        return Role.WORKER in self.roles


@dataclass(frozen=True, slots=True)
class Cluster:
    """What should be. `hosts` is in the inventory's order; names and addresses are unique.

    When no host of the inventory has the etcd role, the control-plane hosts have it.
    """

    name: str
    kubernetes: Version
    hosts: tuple[Host, ...]
    settings: Settings = field(default_factory=Settings)
    inventory: str = field(default="", repr=False, compare=False)
    """The text that it was read from, kept so that it can be kept with backups; no secrets are in it."""

    def host(self, name: str) -> Host:
        """The host of that name; raises KeyError."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    @property
    def control_planes(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.is_control_plane)

    @property
    def etcd_members(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.is_etcd)

    @property
    def nodes(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.is_node)

    @property
    def load_balancers(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.is_load_balancer)

    @property
    def vip_hosts(self) -> tuple[Host, ...]:
        """The hosts one of which holds the endpoint's virtual IP; none where it has none."""
        endpoint = self.settings.endpoint
        if endpoint.vip is None:
            return ()
        return self.control_planes if endpoint.mode == "vip" else self.load_balancers

    @property
    def named_applications(self) -> Mapping[str, Application]:
        """The applications that clients ask for by name, at load balancers."""
        return {name: one for name, one in self.settings.applications.items() if one.server_names}

    @property
    def vips(self) -> tuple[IPv4Address, ...]:
        """All virtual IPs, the endpoint's first."""
        endpoint, further = self.settings.endpoint, self.settings.load_balancer.instances.values()
        return () if endpoint.vip is None else (endpoint.vip, *(instance.vip for instance in further))

    @property
    def lvs(self) -> Lvs | None:
        """How load balancers forward connections to the API in the kernel; None where Nginx does, or there are none."""
        return self.settings.load_balancer.lvs if self.load_balancers and self.settings.endpoint.vip else None

    @property
    def router_ids(self) -> tuple[int, ...]:
        """VRRP's, one for each of `vips`."""
        further = self.settings.load_balancer.instances.values()
        said = (self.settings.keepalived.router_id, *(instance.router_id for instance in further))
        return tuple(number or router_id(vip) for vip, number in zip(self.vips, said, strict=False))

    @property
    def endpoint_host(self) -> str:
        """Where clients outside the cluster find the API: VIP, load balancer, or the first apiserver."""
        endpoint = self.settings.endpoint
        if endpoint.vip is not None:
            return str(endpoint.vip)
        if endpoint.mode == "external" and endpoint.address is not None:
            return endpoint.address
        return str(self.control_planes[0].address)

    def api_server_for(self, host: Host) -> str:
        """`host:port` of the API for the daemons of `host` (kubelet, kube-proxy, flannel)."""
        endpoint = self.settings.endpoint
        return f"{'127.0.0.1' if endpoint.mode == 'local' else self.endpoint_host}:{endpoint.port}"

    @property
    def service_address(self) -> IPv4Address:
        """The `kubernetes` Service: the first address of the services' range."""
        return self.settings.network.services[1]

    @property
    def dns_address(self) -> IPv4Address:
        """The cluster DNS: the tenth address of the services' range, by custom."""
        return self.settings.network.services[10]
