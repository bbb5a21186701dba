"""The way from the host to the API, as its daemons go it."""

from collections.abc import Callable

import pytest
import tenacity
from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.pki import paths
from kbootstrap.verify.layout import has_proxy

REVIVE_SECONDS = 10
"""Within these a proxy gives connections again to an apiserver that was slow to answer once: a busy host is not broken.
"""


def test_endpoint(host: Remote, subject: Host, cluster: Cluster) -> None:
    """The API answers where the host's daemons look for it."""
    assert _asked(host, cluster.api_server_for(subject)) == "ok", "see `kbootstrap status`: who holds the VIP?"


def test_proxy(host: Remote, subject: Host, cluster: Cluster) -> None:
    """The host's own proxy leads to an apiserver that is ready."""
    if not has_proxy(cluster, subject):
        pytest.skip("the host has none")
    answer = _asked(host, f"127.0.0.1:{cluster.settings.endpoint.port}")
    assert answer == "ok", "on the host: journalctl -u kube-endpoint-nginx"


def test_proxied(host: Remote, subject: Host, cluster: Cluster) -> None:
    """The host's own proxy gives connections to every apiserver: all are ready, and none is out for planned work."""
    if not has_proxy(cluster, subject):
        pytest.skip("the host has none")
    wanted = {str(member.address): "in" for member in cluster.control_planes}
    states = _patiently(lambda: _states(host), wanted)
    assert states == wanted, "on the host: journalctl -u kube-endpoint-watch"


def _states(host: Remote) -> dict[str, str]:
    """What the host's proxy does with each apiserver, by address: in, out or unready."""
    shown = host.run("/opt/kbootstrap/libexec/kube-endpoint show").stdout.splitlines()
    return dict(line.split("\t")[:2] for line in shown)


def _patiently(read: Callable[[], dict[str, str]], wanted: dict[str, str]) -> dict[str, str]:
    """What is read at last: a state that may pass is read again; planned work (`out`) does not pass."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda states: states != wanted and "out" not in states.values()),
        stop=tenacity.stop_after_delay(REVIVE_SECONDS),
        wait=tenacity.wait_fixed(1),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else {},
    )(read)


def _asked(host: Remote, server: str) -> str:
    answer = host.run(
        f"curl --silent --show-error --fail --max-time 5 --cacert {paths.CA_CERTIFICATE} https://{server}/readyz"
    )
    return str(answer.stdout or answer.stderr).strip()
