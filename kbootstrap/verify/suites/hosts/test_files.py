"""Files and folders: private where they hold secrets, and only root's to change where daemons obey them."""

from collections.abc import Iterable

from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify import layout
from kbootstrap.verify.layout import Private
from kbootstrap.verify.reading import statuses

KEY_PLACES = (
    "/etc /opt/kbootstrap /usr/local/bin /usr/local/etc /var/lib/kbootstrap /var/lib/kubelet/pki /var/lib/kube-proxy "
    "/root/.kube /home/*/.kube /home/*/.ssh /tmp /var/tmp"
)
DEPTH = 6
"""How deep they are searched: people keep whole trees in /tmp."""

KEY = '^-----BEGIN .*PRIVATE KEY-----|^ *client-key-data:|"secret": *"[A-Za-z0-9+/]{43}="'
"""Of a certificate, of a kubeconfig, of encryption at rest; for grep."""

OBEYED = (
    "/etc/kubernetes /etc/containerd /etc/cni /etc/crictl.yaml /etc/etcd /etc/flannel /etc/kbootstrap "
    "/opt/kbootstrap /opt/cni /var/lib/kube-proxy /var/lib/kubelet/config.yaml /etc/modules-load.d /etc/sysctl.d "
    "/etc/systemd/system"
)


def test_secret(host: Remote, subject: Host, cluster: Cluster, secret: Private) -> None:
    """The secret is its owner's alone."""
    found = _owners_and_modes(host, layout.secrets(cluster, subject))
    assert found.get(secret.path, "nothing there") == f"{secret.owner} 600", f"{secret.path} can be read too widely"


def test_folder(host: Remote, subject: Host, cluster: Cluster, folder: Private) -> None:
    """The folder is its owner's alone."""
    found = _owners_and_modes(host, layout.folders(cluster, subject))
    assert found.get(folder.path, "nothing there") == f"{folder.owner} 700", f"{folder.path} can be looked into"


def test_no_world_readable_key(host: Remote) -> None:
    """No private key anywhere can be read by everybody."""
    found = host.run(
        f"find {KEY_PLACES} -maxdepth {DEPTH} -xdev -type f -perm /o=r -size -1024k "
        f"-exec grep --files-with-matches --no-messages --extended-regexp '{KEY}' {{}} + 2>/dev/null"
    )
    assert found.stdout.splitlines() == [], "private keys that everybody can read"


def test_only_root_changes_configuration(host: Remote) -> None:
    """What daemons obey can be changed by root alone."""
    found = host.run(
        f"find {OBEYED} -xdev ! -type l \\( -perm /g=w,o=w -o ! -user root ! -path '/etc/kubernetes/pki/etcd/*' \\) "
        "2>/dev/null"
    )
    assert found.stdout.splitlines() == [], "others than root can change these"


def _owners_and_modes(host: Remote, paths: Iterable[Private]) -> dict[str, str]:
    """All with one command: `etcd 600` by path, for those that are there."""
    names = " ".join(entry.path for entry in paths)
    return statuses(host.run(f"stat --format='%n %U %a' {names}").stdout)
