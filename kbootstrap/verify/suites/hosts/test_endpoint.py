"""The way from the host to the API, as its daemons go it."""

import pytest
from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify.asking import readyz
from kbootstrap.verify.layout import has_proxy

SHOW = """\
for try in 1 2 3 4 5 6 7 8 9 10; do
  shown=$(/opt/kbootstrap/libexec/kube-endpoint show) || exit
  case $shown in *unready*) sleep 1 ;; *) break ;; esac
done
echo "$shown"
"""
"""What the proxy does with each apiserver. One that was slow to answer once gets connections again within seconds: a
busy host is not broken. What is out for planned work stays out.
"""


def test_endpoint(host: Remote, subject: Host, cluster: Cluster) -> None:
    """The API answers where the host's daemons look for it."""
    assert readyz(host, cluster, cluster.api_server_for(subject)) == "ok", "see `kbootstrap status`: who holds the VIP?"


def test_proxy(host: Remote, subject: Host, cluster: Cluster) -> None:
    """The host's own proxy leads to an apiserver that is ready."""
    if not has_proxy(cluster, subject):
        pytest.skip("the host has none")
    answer = readyz(host, cluster, f"127.0.0.1:{cluster.settings.endpoint.port}")
    assert answer == "ok", "on the host: journalctl -u kube-endpoint-nginx"


def test_proxied(host: Remote, subject: Host, cluster: Cluster) -> None:
    """The host's own proxy gives connections to every apiserver: all are ready, and none is out for planned work."""
    if not has_proxy(cluster, subject):
        pytest.skip("the host has none")
    wanted = {str(member.address): "in" for member in cluster.control_planes}
    shown = host.run(SHOW).stdout.splitlines()
    states = dict(line.split("\t")[:2] for line in shown)
    assert states == wanted, "on the host: journalctl -u kube-endpoint-watch"
