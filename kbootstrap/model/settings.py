"""The sections of an inventory that tune what gets installed, with their defaults.

Each is optional in the inventory. Defaults are for production on hosts with systemd; where a default is a
measured or published figure, its source stands beside it.
"""

from ipaddress import IPv4Network
from math import ceil
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kbootstrap.model.applications import Application, IngressController
from kbootstrap.model.backup import Backup
from kbootstrap.model.drills import Drills, Power
from kbootstrap.model.fields import (
    Address,
    AddressRange,
    Args,
    DnsLabel,
    DnsName,
    Duration,
    Environment,
    FreeForm,
    NonEmpty,
    Port,
    Refused,
    ReleasedVersion,
    ScalarText,
)
from kbootstrap.model.load_balancer import LoadBalancer
from kbootstrap.model.section import Section as Section  # noqa: PLC0414 - engine/playbook.py has it from here

Serial = Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^([1-9]\d?|100)%$")]
"""So many at a time: a number, or a percentage."""


class Endpoint(Section):
    """How clients reach the API: a VIP on the control-plane hosts or in front of them, a proxy on every host, or one
    address that exists already.
    """

    mode: Literal["vip", "local", "external"] = Field(
        "local", description="default: vip with a vip, external with an address, else local"
    )
    vip: Address | None = Field(
        None, description="virtual IP, held by a control-plane host, in mode external by a load-balancer host"
    )
    address: DnsName | None = Field(None, description="name or address of a load balancer that exists already")
    port: Port = Field(6443, description="of the API, for clients")

    @model_validator(mode="before")
    @classmethod
    def _infer_mode(cls, written: object) -> object:
        if not isinstance(written, dict) or "mode" in written:
            return written
        if written.get("vip") is not None:
            return {**written, "mode": "vip"}
        return {**written, "mode": "external"} if written.get("address") is not None else written

    @model_validator(mode="after")
    def _fits_its_mode(self) -> Self:
        allowed = {"vip": ("vip",), "external": ("address", "vip"), "local": ()}[self.mode]
        said = [key for key in ("vip", "address") if getattr(self, key) is not None]
        for key in said:
            if key not in allowed or len(said) > 1:
                raise Refused(f"{key!r} does not go with mode {self.mode}", "say 'vip' or 'address', not both")
        if allowed and not said:
            hint = f"{allowed[0]}: the address that clients use"
            raise Refused(f"mode {self.mode} needs {allowed[0]!r}", hint)
        return self


class Keepalived(Section):
    """VRRP between the hosts that may have the VIP. Defaults: a power cut is survived in 0.8 s (median, measured)."""

    router_id: Annotated[int, Field(ge=1, le=255)] | None = Field(None, description="default: from the VIP")
    advert_interval: Annotated[float, Field(ge=0.05, le=10)] = Field(0.25, description="seconds")
    interface: str | None = Field(None, description="default: the one with the host's address")


class Network(Section):
    """Address ranges inside the cluster, and what joins them."""

    hosts: tuple[AddressRange, ...] = Field(
        (), description="subnets of the hosts and the VIP; default: not checked beyond plausibility"
    )
    pods: AddressRange = Field(IPv4Network("10.244.0.0/16"), description="addresses of pods")
    services: AddressRange = Field(
        IPv4Network("10.96.0.0/16"), description="addresses of Services: the first is the API's, the tenth DNS's"
    )
    node_prefix: Annotated[int, Field(ge=16, le=30)] = Field(24, description="size of each node's pod range")
    domain: DnsName = Field("cluster.local", description="of the cluster's own DNS names")
    cni: Literal["flannel", "none"] = Field("flannel", description="pod network; none: install your own")
    node_ports: Annotated[str, Field(pattern=r"^\d+-\d+$")] = Field(
        "30000-32767", description="ports of Services of type NodePort"
    )


class Flannel(Section):
    """The pod network of flannel."""

    backend: Literal["vxlan", "host-gw"] = Field(
        "vxlan", description="host-gw: plain routes, when all hosts are in one subnet"
    )
    port: Port = Field(8472, description="UDP, for vxlan")


class Etcd(Section):
    """etcd, where the cluster's state is.

    Heartbeat and election: a killed leader costs 0.5 s of writes (measured; 1.3 s at etcd's defaults).
    """

    heartbeat_ms: Annotated[int, Field(ge=10, le=10_000)] = Field(
        100, description="about the round-trip time between members, or more"
    )
    election_ms: Annotated[int, Field(ge=50, le=50_000)] = Field(
        500, description="silence after which another leader is elected; at least five heartbeats"
    )
    quota_bytes: Annotated[int, Field(ge=64 * 2**20)] = Field(
        8 * 2**30, description="size of the database at which writes are refused"
    )
    auto_compaction: Duration = Field("8h", description="history kept, etcd's periodic mode")
    extra_args: Args = Field({}, description="further flags, without dashes")
    environment: Environment = Field({}, description="of the process, e.g. GOGC: 200 for less work and more memory")


class ApiServer(Section):
    """kube-apiserver."""

    extra_sans: tuple[DnsName, ...] = Field((), description="further names and addresses in its certificate")
    extra_args: Args = Field({}, description="further flags, without dashes")
    environment: Environment = Field({}, description="of the process, e.g. GOGC: 200 for less work and more memory")
    audit_log_days: Annotated[int, Field(ge=0)] = Field(30, description="0 turns the audit log off")
    encryption: Literal["secretbox", "none"] = Field("secretbox", description="of Secrets at rest")
    shutdown_delay_seconds: Annotated[int, Field(ge=0, le=120)] = Field(
        10, description="how long it serves on after it has said that it is going to stop"
    )


class Component(Section):
    """A daemon with nothing to tune but its flags."""

    extra_args: Args = Field({}, description="further flags, without dashes")


class Kubelet(Section):
    """kubelet; `config` is merged over the KubeletConfiguration."""

    config: FreeForm = Field({}, description="keys of the KubeletConfiguration")
    extra_args: Args = Field({}, description="further flags, without dashes")


class KubeProxy(Section):
    """kube-proxy; `config` is merged over the KubeProxyConfiguration."""

    mode: Literal["nftables", "iptables", "ipvs"] = Field("nftables", description="how Services are forwarded")
    config: FreeForm = Field({}, description="keys of the KubeProxyConfiguration")


class Registry(Section):
    """One image registry as containerd should see it (becomes a hosts.toml)."""

    mirrors: tuple[NonEmpty, ...] = Field((), description="base addresses tried before the registry itself")
    ca_file: Path | None = Field(None, description="on the control machine")
    username: NonEmpty | None = Field(None, description="goes with password_file")
    password_file: Path | None = Field(None, description="on the control machine")
    insecure: bool = Field(False, description="do not verify its certificate")


class Containerd(Section):
    """containerd."""

    registries: dict[NonEmpty, Registry] = Field({}, description="by registry host, e.g. docker.io")
    restrict_oom_score_adj: bool = Field(False, description="for hosts that may not lower oom_score_adj")


Companion = Literal["etcd", "containerd", "runc", "cni-plugins", "crictl", "coredns", "pause", "flannel"]
"""What is installed beside Kubernetes, by the catalogue's names."""


class Artifacts(Section):
    """Where binaries come from, in which versions, and how they get to the hosts."""

    source: Literal["auto", "release", "build", "cache"] = Field(
        "auto", description="release: the projects' downloads; build: from source; cache: only what is there"
    )
    mirror: str | None = Field(None, description="base address with the release layout unchanged")
    versions: dict[Companion, ReleasedVersion] = Field(
        {}, description="other ones than those that were tried with the Kubernetes version, e.g. etcd: 3.6.15"
    )
    delivery: Literal["auto", "depot", "tunnel", "push"] = Field(
        "auto", description="depot: HTTP from this machine; tunnel: the same through SSH; push: over SSH"
    )
    packages: Literal["auto", "host", "depot"] = Field(
        "auto", description="OS packages: from the host's own sources, or from this machine"
    )
    images: Literal["auto", "registry", "depot"] = Field(
        "auto", description="the cluster's own images: pulled by the hosts, or sent by this machine"
    )


class Certificates(Section):
    """Lifetimes. A certificate is renewed when less than `renew_before_days` are left."""

    authority_days: Annotated[int, Field(ge=365)] = Field(3650, description="of the CAs")
    days: Annotated[int, Field(ge=1)] = Field(365, description="of the certificates they sign")
    renew_before_days: Annotated[int, Field(ge=0)] = Field(60, description="less than `days`")


class Systemd(Section):
    """Limits of the units that kbootstrap writes."""

    limit_nofile: Annotated[int, Field(ge=1024)] = Field(1_048_576, description="open files of a daemon")


class HostPreparation(Section):
    """What is done to the operating system."""

    manage_hosts_file: bool = Field(True, description="entries for all hosts in /etc/hosts")
    swap: Literal["refuse", "disable", "allow"] = Field(
        "refuse", description="what to do on a host that has swap switched on"
    )
    journal_max_use: Annotated[str, Field(pattern=r"^\d+[KMGT]?$")] = Field(
        "1G", description="bound of journald's files"
    )
    max_clock_skew_seconds: Annotated[float, Field(gt=0)] = Field(1.0, description="between hosts; etcd warns at 1 s")
    sysctls: dict[NonEmpty, ScalarText] = Field({}, description="further kernel settings")


class Timeouts(Section):
    """Deadlines are multiplied by `scale`: above 1 for slow (emulated) hosts."""

    scale: Annotated[float, Field(ge=0.1, le=100)] = Field(
        1.0, description="factor for all deadlines; above one also for what daemons ask each other after their health"
    )
    connect_seconds: Annotated[float, Field(gt=0)] = Field(10.0, description="for an SSH connection to stand")

    def scaled(self, seconds: float) -> int:
        """A deadline in whole seconds, at least one, as tools on hosts want it."""
        return ceil(seconds * self.scale)

    @property
    def of_daemons(self) -> float:
        """The factor for what daemons on hosts wait for. Below one `scale` is for tests, and daemons do as always."""
        return max(1.0, self.scale)


class Upgrades(Section):
    """How `upgrade` and other rolling work goes from host to host."""

    batch: Serial = Field(1, description="workers at a time: a number, or a percentage of them")
    drain_seconds: Annotated[int, Field(ge=1)] = Field(
        300, description="how long a node may take to give up its pods as their disruption budgets allow"
    )


class Tuning(Section):
    """The sections that stand at the top level of an inventory."""

    keepalived: Keepalived = Keepalived()
    network: Network = Network()
    flannel: Flannel = Flannel()
    etcd: Etcd = Etcd()
    kube_apiserver: ApiServer = ApiServer()
    kube_controller_manager: Component = Component()
    kube_scheduler: Component = Component()
    kubelet: Kubelet = Kubelet()
    kube_proxy: KubeProxy = KubeProxy()
    containerd: Containerd = Containerd()
    artifacts: Artifacts = Artifacts()
    certificates: Certificates = Certificates()
    systemd: Systemd = Systemd()
    host: HostPreparation = HostPreparation()
    timeouts: Timeouts = Timeouts()
    upgrades: Upgrades = Upgrades()
    backup: Backup = Backup()
    power: Power = Power()
    drills: Drills = Drills()
    load_balancer: LoadBalancer = LoadBalancer()
    ingress_controllers: dict[DnsLabel, IngressController] = Field(
        {}, description="ingress controllers that applications are behind, by name"
    )
    applications: dict[DnsLabel, Application] = Field(
        {}, description="what the load balancers make reachable from outside, by name"
    )


class Settings(Tuning):
    """All tunable sections; in an inventory the endpoint stands under `cluster`."""

    endpoint: Endpoint = Endpoint()
