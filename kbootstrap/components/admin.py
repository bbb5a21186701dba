"""kubectl on the control-plane hosts, with an administrator's kubeconfig that only root can read."""

from kbootstrap.components.binaries import KUBECTL
from kbootstrap.components.certificates import kubeconfig, own_apiserver
from kbootstrap.components.manifests import FOLDER as ADDONS
from kbootstrap.components.packages import has_proxy
from kbootstrap.components.site import Site
from kbootstrap.components.wrapper import wrapper
from kbootstrap.facts.api import ADMIN_CONF
from kbootstrap.steps.file import Directory
from kbootstrap.steps.step import Step

ADMIN_USER = "kubernetes-admin"
ADMIN_GROUP = "system:masters"
"""The apiserver's built-in superusers: works before (and whatever happens to) RBAC objects."""


def admin(site: Site) -> list[Step]:
    """An administrator who comes through the host's own proxy, so to any apiserver that lives.

    Healthy when `kubectl get --raw /readyz` on the host says ok.
    """
    port = site.cluster.settings.endpoint.port
    server = f"127.0.0.1:{port}" if has_proxy(site.cluster, site.host) else own_apiserver(site)
    return [
        KUBECTL.use(site),
        kubeconfig(site, ADMIN_CONF, server, ADMIN_USER, (ADMIN_GROUP,)),
        Directory(ADDONS),
        wrapper(KUBECTL.program(), {"KUBECONFIG": str(ADMIN_CONF)}),
    ]
