"""The way of connections from a director, whose kernel hands them on, to the proxies behind it."""

from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify.asking import readyz
from kbootstrap.verify.layout import BALANCED, RealServer, real_servers
from kbootstrap.verify.reading import forwarded

TABLE = """\
for try in 1 2 3 4 5 6 7 8 9 10; do
  table=$(ipvsadm --save --numeric) || exit
  [ "$(printf '%s\\n' "$table" | grep -c -- '^-a -t {service} ')" -lt {servers} ] || break
  sleep 1
done
printf '%s\\n' "$table"
"""
"""The kernel's table. A proxy that was slow to answer once is in it again within seconds."""


def test_service(host: Remote, subject: Host, cluster: Cluster) -> None:
    """The kernel hands connections to the API on, to nobody but the control-plane hosts."""
    assert cluster.lvs is not None
    chooses, servers = _forwarded(host, subject, cluster)
    kept = f" -p {cluster.lvs.persistence_seconds}" if cluster.lvs.persistence_seconds else ""
    hint = "on the host: ipvsadm -L -n; journalctl -u kube-endpoint-keepalived"
    assert chooses == f"-s {cluster.lvs.scheduler}{kept}", hint
    strangers = sorted(servers.keys() - {one.address for one in real_servers(cluster, subject)})
    assert strangers == [], hint


def test_real_server(host: Remote, subject: Host, cluster: Cluster, real_server: RealServer) -> None:
    """The control-plane host is given connections, in the inventory's way."""
    _, servers = _forwarded(host, subject, cluster)
    hint = "is its proxy well, and is it out for planned work? On the host: ipvsadm -L -n"
    assert servers.get(real_server.address, "not there") == real_server.terms, hint


def test_proxy(host: Remote, subject: Host, cluster: Cluster, control_plane: Host) -> None:
    """The proxy of a control-plane host leads to an apiserver that is ready.

    At a port of its own: the holder of the virtual IP reaches nobody at that address but itself.
    """
    # Whichever apiserver is behind the proxy: its certificate has the endpoint's name, and not that of other hosts.
    through = f"--connect-to ::{control_plane.address}:{BALANCED}"
    answer = readyz(host, cluster, cluster.api_server_for(subject), through)
    assert answer == "ok", f"on {control_plane.name}: journalctl -u kube-endpoint-nginx"


def _forwarded(host: Remote, subject: Host, cluster: Cluster) -> tuple[str, dict[str, str]]:
    service = cluster.api_server_for(subject)
    table = TABLE.format(service=service, servers=len(real_servers(cluster, subject)))
    return forwarded(host.check_output(table), service)
