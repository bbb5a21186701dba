"""kube-apiserver: one on every control-plane host, under systemd."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from types import MappingProxyType

from kbootstrap.components import etcd
from kbootstrap.components.binaries import APISERVER
from kbootstrap.components.certificates import certificate
from kbootstrap.components.flannel import USER as FLANNEL_USER
from kbootstrap.components.service import CONFINED, CRITICAL_POD_OOM_SCORE, Service, flags, unit_path
from kbootstrap.components.site import Site
from kbootstrap.components.tls import TLS_CIPHERS, TLS_MIN_VERSION
from kbootstrap.pki import paths
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import Absent, Directory, File
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "kube-apiserver.service"
FOLDER = PurePosixPath("/etc/kubernetes/apiserver")
AUTHENTICATION = FOLDER / "authentication.yaml"
AUDIT_POLICY = FOLDER / "audit-policy.yaml"
AUDIT_LOG = PurePosixPath("/var/log/kubernetes/audit/audit.log")

SERVING = paths.PKI / "apiserver"
KUBELET_CLIENT = paths.PKI / "apiserver-kubelet-client"
ETCD_CLIENT = paths.PKI / "apiserver-etcd-client"
FRONT_PROXY_CLIENT = paths.PKI / "front-proxy-client"

KUBELET_CLIENT_USER = "kube-apiserver-kubelet-client"
FRONT_PROXY_USER = "front-proxy-client"

START_SECONDS = 300
"""An emulated host took 72 s; etcd may still be electing."""
STOP_MARGIN_SECONDS = 60
"""After the shutdown delay: requests under way have up to 60 s (--request-timeout)."""

ETCD_ANSWER_MS = 1500
"""For etcd to answer a question after its health. The apiserver asks at most twice in this time and repeats its last
answer until it has another (kube-apiserver, etcd3.go): without its member it says so within 2.25 s, and with the
default of 2 s within 3 s. Not less, because etcd takes 1 to 2 s to choose a leader, and keepalived gives the VIP up
when it finds no ready apiserver twice in 2 s. An emulated host needs longer for the answer itself."""

LOG_LIMIT: Mapping[str, str] = MappingProxyType({"LogRateLimitIntervalSec": "10s", "LogRateLimitBurst": "1000"})
"""While its etcd member has no leader, an apiserver asks again 1,300 times a second and logs each time: on a host that
was cut off, journald took a tenth of a processor. A start logs some 400 lines."""

AUDIT_BACKUPS = 10
AUDIT_MEGABYTES = 100


def kube_apiserver(site: Site) -> list[Step]:
    """The apiserver of this host, at the host's own address and the endpoint's port.

    Its binary is delivered by `control_plane_binaries`, like those of the other parts.

    Healthy when `curl --cacert /etc/kubernetes/pki/ca.crt https://HOST:6443/readyz` says ok.
    """
    return [APISERVER.use(site), *_certificates(site), *_files(site), *_service(site)]


def _certificates(site: Site) -> list[Step]:
    pki = site.pki
    return [
        certificate(site, SERVING, pki.kubernetes, serving_spec(site)),
        certificate(site, KUBELET_CLIENT, pki.kubernetes, CertificateSpec(KUBELET_CLIENT_USER, client=True)),
        certificate(site, ETCD_CLIENT, pki.etcd, CertificateSpec("kube-apiserver-etcd-client", client=True)),
        certificate(site, FRONT_PROXY_CLIENT, pki.front_proxy, CertificateSpec(FRONT_PROXY_USER, client=True)),
    ]


def serving_spec(site: Site) -> CertificateSpec:
    """All names and addresses under which clients may come to this apiserver."""
    cluster, host = site.cluster, site.host
    said = (
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{cluster.settings.network.domain}",
        host.name,
        "127.0.0.1",
        str(host.address),
        str(cluster.service_address),
        cluster.endpoint_host,
        *cluster.settings.kube_apiserver.extra_sans,
    )
    addresses = {address: None for text in said if (address := _address(text)) is not None}
    names = {text: None for text in said if _address(text) is None}
    return CertificateSpec("kube-apiserver", names=tuple(names), addresses=tuple(addresses), server=True)


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Authentication:
    anonymous_paths: tuple[str, ...] = ("/livez", "/readyz", "/healthz")


@dataclass(frozen=True, slots=True)
class _AuditPolicy:
    flannel_user: str = FLANNEL_USER


def _files(site: Site) -> list[Step]:
    steps: list[Step] = [
        Directory(FOLDER),
        File(AUTHENTICATION, render("kube-apiserver/authentication.yaml.j2", _Authentication())),
    ]
    if site.cluster.settings.kube_apiserver.audit_log_days == 0:
        return [*steps, Absent(AUDIT_POLICY)]
    return [
        *steps,
        Directory(AUDIT_LOG.parent.parent),
        Directory(AUDIT_LOG.parent, 0o700),
        File(AUDIT_POLICY, render("kube-apiserver/audit-policy.yaml.j2", _AuditPolicy())),
    ]


def _service(site: Site) -> list[Step]:
    settings = site.cluster.settings
    service = Service(
        description="Kubernetes API server",
        documentation="https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
        command=(str(APISERVER.program()), *_arguments(site)),
        limit_nofile=settings.systemd.limit_nofile,
        type="notify",
        after=(etcd.UNIT,),
        environment=settings.kube_apiserver.environment,
        start_seconds=START_SECONDS,
        stop_seconds=settings.kube_apiserver.shutdown_delay_seconds + STOP_MARGIN_SECONDS,
        oom_score=CRITICAL_POD_OOM_SCORE,
        options={"ReadWritePaths": f"-{AUDIT_LOG.parent}", **LOG_LIMIT, **CONFINED},
    )
    audited = () if settings.kube_apiserver.audit_log_days == 0 else (AUDIT_POLICY,)
    certificates = (SERVING, KUBELET_CLIENT, ETCD_CLIENT, FRONT_PROXY_CLIENT)
    inputs = (
        unit_path(UNIT),
        *APISERVER.inputs(site),
        AUTHENTICATION,
        *audited,
        paths.ENCRYPTION_CONFIG,
        paths.CA_CERTIFICATE,
        paths.ETCD_CA_CERTIFICATE,
        paths.FRONT_PROXY_CA_CERTIFICATE,
        paths.SERVICE_ACCOUNT_PUBLIC,
        paths.SERVICE_ACCOUNT_PRIVATE,
        *(path.with_name(f"{path.name}{suffix}") for path in certificates for suffix in (".crt", ".key")),
    )
    return [service.file(UNIT), Unit(UNIT, inputs)]


def _arguments(site: Site) -> tuple[str, ...]:
    cluster, host = site.cluster, site.host
    network, settings = cluster.settings.network, cluster.settings.kube_apiserver
    etcd_answer = f"{round(ETCD_ANSWER_MS * cluster.settings.timeouts.of_daemons)}ms"
    return flags(
        {
            "bind-address": host.address,
            "secure-port": cluster.settings.endpoint.port,
            "advertise-address": host.address,
            "service-cluster-ip-range": network.services,
            "service-node-port-range": network.node_ports,
            "allow-privileged": True,
            # etcd
            "etcd-servers": etcd.servers_for(cluster, host),
            "etcd-cafile": paths.ETCD_CA_CERTIFICATE,
            "etcd-certfile": f"{ETCD_CLIENT}.crt",
            "etcd-keyfile": f"{ETCD_CLIENT}.key",
            "etcd-healthcheck-timeout": etcd_answer,
            "etcd-readycheck-timeout": etcd_answer,
            "encryption-provider-config": paths.ENCRYPTION_CONFIG,
            # who may come, and what they may do
            "tls-cert-file": f"{SERVING}.crt",
            "tls-private-key-file": f"{SERVING}.key",
            "tls-min-version": TLS_MIN_VERSION,
            "tls-cipher-suites": ",".join(TLS_CIPHERS),
            "client-ca-file": paths.CA_CERTIFICATE,
            "authentication-config": AUTHENTICATION,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "service-account-issuer": f"https://kubernetes.default.svc.{network.domain}",
            "service-account-key-file": paths.SERVICE_ACCOUNT_PUBLIC,
            "service-account-signing-key-file": paths.SERVICE_ACCOUNT_PRIVATE,
            "service-account-extend-token-expiration": False,
            "profiling": False,
            # kubelets: by address, since hosts' names need not be in DNS
            "kubelet-certificate-authority": paths.CA_CERTIFICATE,
            "kubelet-client-certificate": f"{KUBELET_CLIENT}.crt",
            "kubelet-client-key": f"{KUBELET_CLIENT}.key",
            "kubelet-preferred-address-types": "InternalIP,Hostname",
            # aggregation: metrics-server and the like
            "proxy-client-cert-file": f"{FRONT_PROXY_CLIENT}.crt",
            "proxy-client-key-file": f"{FRONT_PROXY_CLIENT}.key",
            "requestheader-client-ca-file": paths.FRONT_PROXY_CA_CERTIFICATE,
            "requestheader-allowed-names": FRONT_PROXY_USER,
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-username-headers": "X-Remote-User",
            "enable-aggregator-routing": True,
            # going away without a failed request, and spreading long connections again afterwards
            "shutdown-delay-duration": f"{settings.shutdown_delay_seconds}s",
            "shutdown-send-retry-after": True,
            "goaway-chance": 0.001 if len(cluster.control_planes) > 1 else 0,
            **_audit(settings.audit_log_days),
        },
        settings.extra_args,
    )


def _audit(days: int) -> dict[str, object]:
    if days == 0:
        return {}
    return {
        "audit-policy-file": AUDIT_POLICY,
        "audit-log-path": AUDIT_LOG,
        "audit-log-maxage": days,
        "audit-log-maxbackup": AUDIT_BACKUPS,
        "audit-log-maxsize": AUDIT_MEGABYTES,
    }
