"""kube-proxy: makes Services reachable, on every node."""

from pathlib import PurePosixPath
from typing import Any

from kbootstrap.components.binaries import KUBE_PROXY
from kbootstrap.components.certificates import kubeconfig, nearest_api
from kbootstrap.components.objects import merged, yaml_file
from kbootstrap.components.service import HTTP2_PING, NETWORKING, NODE_OOM_SCORE, Service, unit_path
from kbootstrap.components.site import Site
from kbootstrap.pki import paths
from kbootstrap.steps.file import Directory, File
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "kube-proxy.service"
FOLDER = PurePosixPath("/var/lib/kube-proxy")
CONFIG = FOLDER / "config.yaml"
KUBECONFIG = paths.KUBERNETES / "kube-proxy.conf"
USER = "system:kube-proxy"
"""Bound to system:node-proxier by the apiserver itself."""


def kube_proxy(site: Site) -> list[Step]:
    """The service proxy. Its binary is delivered by `node_binaries`.

    Healthy when `curl http://127.0.0.1:10256/healthz` on the host answers 200.
    """
    settings = site.cluster.settings
    service = Service(
        description="Kubernetes service proxy",
        documentation="https://kubernetes.io/docs/reference/command-line-tools-reference/kube-proxy/",
        command=(str(KUBE_PROXY.program()), f"--config={CONFIG}"),
        limit_nofile=settings.systemd.limit_nofile,
        environment=HTTP2_PING,
        oom_score=NODE_OOM_SCORE,
        options=NETWORKING,
    )
    return [
        KUBE_PROXY.use(site),
        kubeconfig(site, KUBECONFIG, nearest_api(site), USER),
        Directory(FOLDER),
        File(CONFIG, yaml_file(merged(_config(site), settings.kube_proxy.config))),
        service.file(UNIT),
        Unit(UNIT, (unit_path(UNIT), *KUBE_PROXY.inputs(site), CONFIG, KUBECONFIG)),
    ]


def _config(site: Site) -> dict[str, Any]:
    settings = site.cluster.settings
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(KUBECONFIG)},
        "hostnameOverride": site.host.name,
        "mode": settings.kube_proxy.mode,
        "clusterCIDR": str(settings.network.pods),
        # Also on the VIP: left out, nftables mode would serve NodePorts on the node's first address only.
        "nodePortAddresses": ["0.0.0.0/0"],
        "metricsBindAddress": "127.0.0.1:10249",
        "healthzBindAddress": "0.0.0.0:10256",
    }
