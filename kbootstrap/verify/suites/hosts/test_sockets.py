"""Sockets: listened on at the right addresses, and at no others."""

from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify import layout
from kbootstrap.verify.layout import Port
from kbootstrap.verify.reading import Listener, is_loopback, listeners

SS = "ss --no-header --listening --tcp --numeric --processes"

OURS = (
    "etcd",
    "kube-apiserver",
    "kube-controller",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "containerd",
    "flanneld",
    "nginx",
    "keepalived",
)
"""Programs as the kernel has their names: cut after 15 characters."""


def test_port(host: Remote, port: Port) -> None:
    """The port is listened on where it should be, and nowhere else."""
    found = {listener.address for listener in _listeners(host) if listener.port == port.number}
    assert found == set(port.addresses), f"port {port.number} of {port.owner}"


def test_nothing_else(host: Remote, subject: Host, cluster: Cluster) -> None:
    """Our daemons listen on no other port that the network can reach."""
    known = {port.number for port in layout.ports(cluster, subject)}
    more = {
        f"{listener.program} at {listener.address}, port {listener.port}"
        for listener in _listeners(host)
        if listener.program.startswith(OURS) and listener.port not in known and not is_loopback(listener.address)
    }
    assert more == set(), "open to the network"


def _listeners(host: Remote) -> list[Listener]:
    return listeners(host.check_output(SS))
