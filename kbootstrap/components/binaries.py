"""Programs in versioned folders: `/opt/kbootstrap/COMPONENT/VERSION/NAME`, with a `current` link beside them.

A change of version is a new folder, a link and a restart; going back is the same. What several hosts' phases need
is delivered ahead of time (the components `…-binaries`): as long as the link stays, nothing runs it.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.components.site import Site
from kbootstrap.steps.delivery import Delivery
from kbootstrap.steps.file import File, Link
from kbootstrap.steps.step import Step

OPT = PurePosixPath("/opt/kbootstrap")
LIBEXEC = OPT / "libexec"
"""Scripts of ours that units run; the folder is made by `host`."""
LOCAL_BIN = PurePosixPath("/usr/local/bin")


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one component, all of one version."""

    component: str
    names: tuple[str, ...]

    @property
    def current(self) -> PurePosixPath:
        """The link to the version in use."""
        return OPT / self.component / "current"

    def program(self, name: str | None = None) -> PurePosixPath:
        """Where a program of the version in use is; without a name, the first one."""
        return self.current / (name or self.names[0])

    def deliver(self, site: Site) -> list[Step]:
        """Puts the files on the host, without using them yet."""
        artifacts = self._artifacts(site)
        folder = self._folder(site)
        sums = "".join(f"{artifact.sha256}  {name}\n" for name, artifact in artifacts.items())
        return [
            *(Delivery(artifact, folder / name) for name, artifact in artifacts.items()),
            File(self._sums(site), sums.encode()),
        ]

    def use(self, site: Site) -> Step:
        """Makes what was delivered the version in use."""
        return Link(self.current, self._folder(site).name)

    def inputs(self, site: Site) -> tuple[PurePosixPath, ...]:
        """What a unit must be restarted for: another version, or other files under the same version."""
        return (self.current, self._sums(site))

    def _artifacts(self, site: Site) -> dict[str, Artifact]:
        return {name: site.artifacts[name] for name in self.names}

    def _folder(self, site: Site) -> PurePosixPath:
        return OPT / self.component / site.artifacts[self.names[0]].ref.version

    def _sums(self, site: Site) -> PurePosixPath:
        """The digests of what was delivered, as `sha256sum --check` reads them."""
        return self._folder(site) / "SHA256SUMS"


ETCD = Binaries("etcd", ("etcd", "etcdctl", "etcdutl"))
APISERVER = Binaries("kube-apiserver", ("kube-apiserver",))
CONTROLLER_MANAGER = Binaries("kube-controller-manager", ("kube-controller-manager",))
SCHEDULER = Binaries("kube-scheduler", ("kube-scheduler",))
KUBECTL = Binaries("kubectl", ("kubectl",))
CONTAINERD = Binaries("containerd", ("containerd", "containerd-shim-runc-v2", "ctr"))
RUNC = Binaries("runc", ("runc",))
CRICTL = Binaries("crictl", ("crictl",))
CNI_PLUGINS = Binaries(
    "cni-plugins", ("bridge", "loopback", "host-local", "portmap", "bandwidth", "firewall", "tuning")
)
KUBELET = Binaries("kubelet", ("kubelet",))
KUBE_PROXY = Binaries("kube-proxy", ("kube-proxy",))
FLANNEL = Binaries("flannel", ("flanneld",))


def control_plane_binaries(site: Site) -> list[Step]:
    """What makes a host a control plane (etcd's programs excepted), delivered in the order in which it is started."""
    wanted = (APISERVER, KUBECTL, CONTROLLER_MANAGER, SCHEDULER)
    return [step for binaries in wanted for step in binaries.deliver(site)]


def node_binaries(site: Site) -> list[Step]:
    """Everything that makes a host a node, delivered in the order in which it will be started."""
    wanted = [CONTAINERD, RUNC, CRICTL, CNI_PLUGINS, KUBELET, KUBE_PROXY]
    if site.cluster.settings.network.cni == "flannel":
        wanted.append(FLANNEL)
    return [step for binaries in wanted for step in binaries.deliver(site)]
