"""kube-scheduler: one on every control-plane host; the one that holds the lease works."""

from kbootstrap.components.binaries import SCHEDULER
from kbootstrap.components.certificates import kubeconfig, own_apiserver
from kbootstrap.components.kube_apiserver import UNIT as APISERVER_UNIT
from kbootstrap.components.leases import LEADER_ELECTION
from kbootstrap.components.service import CONFINED, CRITICAL_POD_OOM_SCORE, HTTP2_PING, Service, flags, unit_path
from kbootstrap.components.site import Site
from kbootstrap.components.tls import TLS_CIPHERS, TLS_MIN_VERSION
from kbootstrap.pki import paths
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "kube-scheduler.service"
KUBECONFIG = paths.KUBERNETES / "scheduler.conf"
USER = "system:kube-scheduler"


def kube_scheduler(site: Site) -> list[Step]:
    """A scheduler that talks to its own host's apiserver.

    Healthy when `curl -k https://127.0.0.1:10259/healthz` on the host says ok and the lease in kube-system is renewed.
    """
    settings = site.cluster.settings
    arguments = flags(
        {
            "kubeconfig": KUBECONFIG,
            "authentication-kubeconfig": KUBECONFIG,
            "authorization-kubeconfig": KUBECONFIG,
            "bind-address": "127.0.0.1",
            **LEADER_ELECTION,
            "client-ca-file": paths.CA_CERTIFICATE,
            "requestheader-client-ca-file": paths.FRONT_PROXY_CA_CERTIFICATE,
            "tls-min-version": TLS_MIN_VERSION,
            "tls-cipher-suites": ",".join(TLS_CIPHERS),
            "profiling": False,
        },
        settings.kube_scheduler.extra_args,
    )
    service = Service(
        description="Kubernetes scheduler",
        documentation="https://kubernetes.io/docs/reference/command-line-tools-reference/kube-scheduler/",
        command=(str(SCHEDULER.program()), *arguments),
        limit_nofile=settings.systemd.limit_nofile,
        after=(APISERVER_UNIT,),
        environment=HTTP2_PING,
        oom_score=CRITICAL_POD_OOM_SCORE,
        options=CONFINED,
    )
    inputs = (
        unit_path(UNIT),
        *SCHEDULER.inputs(site),
        KUBECONFIG,
        paths.CA_CERTIFICATE,
        paths.FRONT_PROXY_CA_CERTIFICATE,
    )
    return [
        SCHEDULER.use(site),
        kubeconfig(site, KUBECONFIG, own_apiserver(site), USER),
        service.file(UNIT),
        Unit(UNIT, inputs),
    ]
