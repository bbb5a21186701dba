"""kubelet: on every control-plane host and worker."""

from pathlib import PurePosixPath
from typing import Any

from kbootstrap.components.binaries import KUBELET
from kbootstrap.components.certificates import certificate, kubeconfig, nearest_api
from kbootstrap.components.containerd import SOCKET, START_SECONDS
from kbootstrap.components.containerd import UNIT as CONTAINERD_UNIT
from kbootstrap.components.objects import merged, yaml_file
from kbootstrap.components.service import HTTP2_PING, NODE_OOM_SCORE, Service, flags, unit_path
from kbootstrap.components.site import Site
from kbootstrap.components.tls import TLS_CIPHERS, TLS_MIN_VERSION
from kbootstrap.model.cluster import Host, Role, Taint
from kbootstrap.pki import paths
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.steps.command import Command
from kbootstrap.steps.file import Directory, File
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "kubelet.service"
UNIT_MODE = 0o600
"""CIS 4.1.1."""
PORT = 10250
"""Its own API, on every node."""
FOLDER = PurePosixPath("/var/lib/kubelet")
CONFIG = FOLDER / "config.yaml"
SERVING = FOLDER / "pki/kubelet"
KUBECONFIG = paths.KUBERNETES / "kubelet.conf"
RESOLV_CONF = paths.KUBERNETES / "resolv.conf"

CONTROL_PLANE_TAINT = Taint("node-role.kubernetes.io/control-plane", "", "NoSchedule")

POD_PIDS = 4096
"""A fork bomb stays in its pod (CIS 4.2.13); OpenShift's default as well."""
SHUTDOWN_SECONDS = 30
SHUTDOWN_CRITICAL_SECONDS = 10
"""Of those, for critical pods: the kubelet documentation's example."""


def kubelet(site: Site) -> list[Step]:
    """The node agent, with certificates of ours. Its binary is delivered by `node_binaries`.

    Healthy when `curl http://127.0.0.1:10248/healthz` on the host says ok and the node is Ready.
    """
    host = site.host
    serving = CertificateSpec(
        f"system:node:{host.name}", ("system:nodes",), names=(host.name,), addresses=(host.address,), server=True
    )
    return [
        KUBELET.use(site),
        Directory(FOLDER, 0o700),
        Directory(SERVING.parent, 0o700),
        certificate(site, SERVING, site.pki.kubernetes, serving),
        kubeconfig(site, KUBECONFIG, nearest_api(site), f"system:node:{host.name}", ("system:nodes",)),
        _resolv_conf(),
        File(CONFIG, yaml_file(merged(_config(site), site.cluster.settings.kubelet.config)), 0o600),
        *_service(site),
    ]


def taints(host: Host) -> tuple[Taint, ...]:
    """The taints of a node: the inventory's, and the one that keeps pods off hosts that are control plane only."""
    own = () if Role.WORKER in host.roles or not host.is_control_plane else (CONTROL_PLANE_TAINT,)
    return (*own, *(taint for taint in host.taints if taint not in own))


def _resolv_conf() -> Step:
    """The name servers for pods: never systemd-resolved's stub, which pods cannot reach."""
    target = (
        "target=/etc/resolv.conf\n"
        "! grep -qs '^nameserver 127\\.0\\.0\\.53' /etc/resolv.conf || target=/run/systemd/resolve/resolv.conf\n"
    )
    return Command(
        f"link {RESOLV_CONF} to the host's name servers",
        f'{target}ln -sfT "$target" {RESOLV_CONF}',
        unless=f'{target}[ "$(readlink {RESOLV_CONF})" = "$target" ]',
    )


def _service(site: Site) -> list[Step]:
    host, settings = site.host, site.cluster.settings
    arguments = flags(
        {
            "config": CONFIG,
            "kubeconfig": KUBECONFIG,
            "hostname-override": host.name,
            "node-ip": host.address,
        },
        settings.kubelet.extra_args,
    )
    service = Service(
        description="Kubernetes node agent",
        documentation="https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/",
        command=(str(KUBELET.program()), *arguments),
        limit_nofile=settings.systemd.limit_nofile,
        type="notify",
        after=(CONTAINERD_UNIT,),
        environment=HTTP2_PING,
        start_seconds=START_SECONDS,
        oom_score=NODE_OOM_SCORE,
        # Mounts of volumes and helpers outlive a kubelet that is restarted (kubelet's own packages).
        options={"KillMode": "process", "CPUAccounting": "true", "MemoryAccounting": "true"},
    )
    inputs = (
        unit_path(UNIT),
        *KUBELET.inputs(site),
        CONFIG,
        KUBECONFIG,
        paths.CA_CERTIFICATE,
        SERVING.with_suffix(".crt"),
        SERVING.with_suffix(".key"),
    )
    return [service.file(UNIT, UNIT_MODE), Unit(UNIT, inputs)]


def _config(site: Site) -> dict[str, Any]:
    cluster = site.cluster
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(paths.CA_CERTIFICATE)},
        },
        "authorization": {"mode": "Webhook"},
        "readOnlyPort": 0,
        "tlsCertFile": str(SERVING.with_suffix(".crt")),
        "tlsPrivateKeyFile": str(SERVING.with_suffix(".key")),
        "tlsMinVersion": TLS_MIN_VERSION,
        "tlsCipherSuites": list(TLS_CIPHERS),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "systemd",
        "clusterDNS": [str(cluster.dns_address)],
        "clusterDomain": cluster.settings.network.domain,
        "resolvConf": str(RESOLV_CONF),
        "failSwapOn": cluster.settings.host.swap != "allow",
        "podPidsLimit": POD_PIDS,
        "seccompDefault": True,
        "shutdownGracePeriod": f"{SHUTDOWN_SECONDS}s",
        "shutdownGracePeriodCriticalPods": f"{SHUTDOWN_CRITICAL_SECONDS}s",
        "registerWithTaints": [_taint(taint) for taint in taints(site.host)],
    }


def _taint(taint: Taint) -> dict[str, str]:
    return {"key": taint.key, **({"value": taint.value} if taint.value else {}), "effect": taint.effect}
