"""kube-controller-manager: one on every control-plane host; the one that holds the lease works."""

from kbootstrap.components.binaries import CONTROLLER_MANAGER
from kbootstrap.components.certificates import kubeconfig, own_apiserver
from kbootstrap.components.kube_apiserver import UNIT as APISERVER_UNIT
from kbootstrap.components.leases import LEADER_ELECTION
from kbootstrap.components.service import CONFINED, CRITICAL_POD_OOM_SCORE, HTTP2_PING, Service, flags, unit_path
from kbootstrap.components.site import Site
from kbootstrap.components.tls import TLS_CIPHERS, TLS_MIN_VERSION
from kbootstrap.pki import paths
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "kube-controller-manager.service"
KUBECONFIG = paths.KUBERNETES / "controller-manager.conf"
USER = "system:kube-controller-manager"


def kube_controller_manager(site: Site) -> list[Step]:
    """A controller-manager that talks to its own host's apiserver (which is never older than itself).

    Healthy when `curl -k https://127.0.0.1:10257/healthz` on the host says ok and the lease in kube-system is renewed.
    """
    settings = site.cluster.settings
    service = Service(
        description="Kubernetes controller manager",
        documentation="https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/",
        command=(str(CONTROLLER_MANAGER.program()), *_arguments(site)),
        limit_nofile=settings.systemd.limit_nofile,
        after=(APISERVER_UNIT,),
        environment=HTTP2_PING,
        oom_score=CRITICAL_POD_OOM_SCORE,
        options=CONFINED,
    )
    inputs = (
        unit_path(UNIT),
        *CONTROLLER_MANAGER.inputs(site),
        KUBECONFIG,
        paths.CA_CERTIFICATE,
        paths.CA_KEY,
        paths.FRONT_PROXY_CA_CERTIFICATE,
        paths.SERVICE_ACCOUNT_PRIVATE,
    )
    return [
        CONTROLLER_MANAGER.use(site),
        kubeconfig(site, KUBECONFIG, own_apiserver(site), USER),
        service.file(UNIT),
        Unit(UNIT, inputs),
    ]


def _arguments(site: Site) -> tuple[str, ...]:
    cluster = site.cluster
    network = cluster.settings.network
    return flags(
        {
            "kubeconfig": KUBECONFIG,
            "authentication-kubeconfig": KUBECONFIG,
            "authorization-kubeconfig": KUBECONFIG,
            "bind-address": "127.0.0.1",
            **LEADER_ELECTION,
            "use-service-account-credentials": True,
            "cluster-name": cluster.name,
            "allocate-node-cidrs": True,
            "cluster-cidr": network.pods,
            "node-cidr-mask-size": network.node_prefix,
            "service-cluster-ip-range": network.services,
            "client-ca-file": paths.CA_CERTIFICATE,
            "root-ca-file": paths.CA_CERTIFICATE,
            "requestheader-client-ca-file": paths.FRONT_PROXY_CA_CERTIFICATE,
            "cluster-signing-cert-file": paths.CA_CERTIFICATE,
            "cluster-signing-key-file": paths.CA_KEY,
            "service-account-private-key-file": paths.SERVICE_ACCOUNT_PRIVATE,
            "tls-min-version": TLS_MIN_VERSION,
            "tls-cipher-suites": ",".join(TLS_CIPHERS),
            "profiling": False,
        },
        cluster.settings.kube_controller_manager.extra_args,
    )
