"""The way of connections from a director, whose kernel hands them on, to the proxies behind it."""

from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify.asking import readyz
from kbootstrap.verify.layout import BALANCED


def test_proxy(host: Remote, subject: Host, cluster: Cluster, control_plane: Host) -> None:
    """The proxy of a control-plane host leads to an apiserver that is ready.

    At a port of its own: the holder of the virtual IP reaches nobody at that address but itself.
    """
    # Whichever apiserver is behind the proxy: its certificate has the endpoint's name, and not that of other hosts.
    through = f"--connect-to ::{control_plane.address}:{BALANCED}"
    answer = readyz(host, cluster, cluster.api_server_for(subject), through)
    assert answer == "ok", f"on {control_plane.name}: journalctl -u kube-endpoint-nginx"
