"""containerd with runc: runs the pods' containers."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.components.binaries import CNI_PLUGINS, CONTAINERD, CRICTL, LOCAL_BIN, RUNC
from kbootstrap.components.registries import CERTS, registries
from kbootstrap.components.service import NODE_OOM_SCORE, Service, unit_path
from kbootstrap.components.site import Site
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import Directory, File, Link
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit

UNIT = "containerd.service"
START_SECONDS = 300
"""For it, and for the kubelet. An emulated host took 72 s to start an apiserver, of the same kind and size."""
CONFIG = PurePosixPath("/etc/containerd/config.toml")
SOCKET = PurePosixPath("/run/containerd/containerd.sock")
CRICTL_CONFIG = PurePosixPath("/etc/crictl.yaml")
RUNC_PROGRAM = RUNC.program()
CNI_BIN = PurePosixPath("/opt/cni/bin")
CNI_CONFIG = PurePosixPath("/etc/cni/net.d")


@dataclass(frozen=True, slots=True)
class ContainerdConfig:
    """What differs from containerd's defaults."""

    sandbox_image: str
    restrict_oom_score_adj: bool
    systemd_cgroup: bool = True
    registries: PurePosixPath = CERTS
    cni_binaries: PurePosixPath = CNI_BIN
    cni_config: PurePosixPath = CNI_CONFIG
    runc: PurePosixPath = RUNC_PROGRAM


def containerd(site: Site) -> list[Step]:
    """The container runtime. Its binaries are delivered by `node_binaries`.

    A restart leaves containers running. Healthy when `crictl info` on the host reports RuntimeReady.
    """
    return [*_links(site), *_config(site), *registries(site), *_service(site)]


def _links(site: Site) -> list[Step]:
    plugins = [Link(CNI_BIN / name, str(CNI_PLUGINS.program(name))) for name in CNI_PLUGINS.names]
    return [
        *(binaries.use(site) for binaries in (CONTAINERD, RUNC, CRICTL, CNI_PLUGINS)),
        *plugins,
        Link(LOCAL_BIN / "ctr", str(CONTAINERD.program("ctr"))),
        Link(LOCAL_BIN / "crictl", str(CRICTL.program())),
    ]


def _config(site: Site) -> list[Step]:
    config = ContainerdConfig(
        sandbox_image=site.release.image_reference("pause"),
        restrict_oom_score_adj=site.cluster.settings.containerd.restrict_oom_score_adj,
    )
    return [
        Directory(CONFIG.parent),
        Directory(CNI_CONFIG.parent),
        Directory(CNI_CONFIG),
        File(CONFIG, render("containerd/config.toml.j2", config)),
        File(CRICTL_CONFIG, f"runtime-endpoint: unix://{SOCKET}\nimage-endpoint: unix://{SOCKET}\n".encode()),
    ]


def _service(site: Site) -> list[Step]:
    service = Service(
        description="containerd container runtime",
        documentation="https://containerd.io",
        command=(str(CONTAINERD.program()), f"--config={CONFIG}"),
        limit_nofile=site.cluster.settings.systemd.limit_nofile,
        type="notify",
        # Finds its shim in PATH.
        environment={"PATH": f"{CONTAINERD.current}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        start_seconds=START_SECONDS,
        oom_score=NODE_OOM_SCORE,
        # Containers outlive their containerd and manage cgroups of their own (containerd's own unit).
        options={"Delegate": "yes", "KillMode": "process", "LimitNPROC": "infinity", "TasksMax": "infinity"},
    )
    return [service.file(UNIT), Unit(UNIT, (unit_path(UNIT), *CONTAINERD.inputs(site), CONFIG))]
