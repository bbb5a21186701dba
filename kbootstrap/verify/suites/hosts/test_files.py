"""Files and folders: private where they hold secrets, and only root's to change where daemons obey them."""

from testinfra.host import Host as Remote

from kbootstrap.verify.layout import Secret

KEY_PLACES = (
    "/etc /opt/kbootstrap /usr/local/bin /usr/local/etc /var/lib/kbootstrap /var/lib/kubelet/pki /var/lib/kube-proxy "
    "/root/.kube /home/*/.kube /home/*/.ssh /tmp /var/tmp"
)
DEPTH = 6
"""How deep they are searched: people keep whole trees in /tmp."""

OBEYED = (
    "/etc/kubernetes /etc/containerd /etc/cni /etc/crictl.yaml /etc/etcd /etc/flannel /etc/kbootstrap "
    "/opt/kbootstrap /opt/cni /var/lib/kube-proxy /var/lib/kubelet/config.yaml /etc/modules-load.d /etc/sysctl.d "
    "/etc/systemd/system"
)


def test_secret(host: Remote, secret: Secret) -> None:
    """The secret is its owner's alone."""
    file = host.file(secret.path)
    assert file.exists, f"there is no {secret.path}"
    assert f"{file.user} {file.mode:04o}" == f"{secret.owner} 0600", f"{secret.path} can be read too widely"


def test_folder(host: Remote, folder: Secret) -> None:
    """The folder is its owner's alone."""
    file = host.file(folder.path)
    assert file.exists, f"there is no {folder.path}"
    assert f"{file.user} {file.mode:04o}" == f"{folder.owner} 0700", f"{folder.path} can be looked into"


def test_no_world_readable_key(host: Remote) -> None:
    """No private key anywhere can be read by everybody."""
    found = host.run(
        f"find {KEY_PLACES} -maxdepth {DEPTH} -xdev -type f -perm /o=r -size -1024k "
        "-exec grep --files-with-matches --no-messages --extended-regexp "
        "'^-----BEGIN .*PRIVATE KEY-----|^ *client-key-data:|^ *secret: [A-Za-z0-9+/]{43}=' {} + 2>/dev/null"
    )
    assert found.stdout.splitlines() == [], "private keys that everybody can read"


def test_only_root_changes_configuration(host: Remote) -> None:
    """What daemons obey can be changed by root alone."""
    found = host.run(
        f"find {OBEYED} -xdev ! -type l \\( -perm /g=w,o=w -o ! -user root ! -path '/etc/kubernetes/pki/etcd/*' \\) "
        "2>/dev/null"
    )
    assert found.stdout.splitlines() == [], "others than root can change these"
