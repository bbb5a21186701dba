"""flannel: the pod network, as a service of the host.

flanneld learns the node's subnet from its Node object and writes it to a file; a script of ours turns that into
the CNI configuration. So no pod, and no image, has to run before pods can run.
"""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.components.binaries import FLANNEL, LIBEXEC
from kbootstrap.components.certificates import kubeconfig, nearest_api
from kbootstrap.components.containerd import CNI_CONFIG
from kbootstrap.components.service import HTTP2_PING, NETWORKING, NODE_OOM_SCORE, Service, unit_path
from kbootstrap.components.site import Site
from kbootstrap.pki import paths
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import Directory, File
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "flanneld.service"
USER = "flannel"
"""Its rights are in `rbac`."""
KUBECONFIG = paths.KUBERNETES / "flannel.conf"
NETWORK_CONFIG = PurePosixPath("/etc/flannel/net-conf.json")
SUBNET_FILE = PurePosixPath("/run/flannel/subnet.env")
CNI_SCRIPT = LIBEXEC / "flannel-cni-config"
CONFLIST = "10-flannel.conflist"
VXLAN_ID = 1


@dataclass(frozen=True, slots=True)
class CniScript:
    """What the script needs to know; the rest is in the subnet file."""

    subnet_file: PurePosixPath = SUBNET_FILE
    folder: PurePosixPath = CNI_CONFIG
    name: str = CONFLIST
    network: str = "cbr0"


def flannel(site: Site) -> list[Step]:
    """The pod network's daemon; nothing when the inventory wants none. Its binary is delivered by `node_binaries`.

    It starts again until the node is registered and has a subnet. Healthy when the unit is active and
    /etc/cni/net.d/10-flannel.conflist is there.
    """
    if site.cluster.settings.network.cni != "flannel":
        return []
    service = Service(
        description="flannel pod network",
        documentation="https://github.com/flannel-io/flannel",
        command=(
            str(FLANNEL.program()),
            "--kube-subnet-mgr",
            f"--kubeconfig-file={KUBECONFIG}",
            f"--net-config-path={NETWORK_CONFIG}",
            f"--subnet-file={SUBNET_FILE}",
            f"--iface={site.host.address}",
            "--ip-masq",
        ),
        limit_nofile=site.cluster.settings.systemd.limit_nofile,
        type="notify",
        environment={"NODE_NAME": site.host.name, **HTTP2_PING},
        after_start=(str(CNI_SCRIPT),),
        restart_seconds=0.5,
        start_seconds=0,  # it waits for the node to be registered, which takes as long as it takes
        oom_score=NODE_OOM_SCORE,
        options={"ReadWritePaths": str(CNI_CONFIG), **NETWORKING},
    )
    return [
        FLANNEL.use(site),
        kubeconfig(site, KUBECONFIG, nearest_api(site), USER),
        Directory(NETWORK_CONFIG.parent),
        File(NETWORK_CONFIG, _network_config(site)),
        File(CNI_SCRIPT, render("flannel/write-cni-config.sh.j2", CniScript()), 0o755),
        service.file(UNIT),
        Unit(
            UNIT,
            (unit_path(UNIT), *FLANNEL.inputs(site), KUBECONFIG, NETWORK_CONFIG, CNI_SCRIPT),
            wait=False,
        ),
    ]


def _network_config(site: Site) -> bytes:
    settings = site.cluster.settings
    backend = {"Type": settings.flannel.backend}
    vxlan = {"VNI": VXLAN_ID, "Port": settings.flannel.port} if settings.flannel.backend == "vxlan" else {}
    config = {
        "Network": str(settings.network.pods),
        "EnableNFTables": settings.kube_proxy.mode == "nftables",
        "Backend": {**backend, **vxlan},
    }
    return (json.dumps(config, indent=2) + "\n").encode()
