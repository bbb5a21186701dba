"""An apiserver out of every proxy's list, so that nobody is sent to it while it is stopped."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from kbootstrap.components.endpoint import PROGRAM as ENDPOINT_PROGRAM
from kbootstrap.components.kube_apiserver import STOP_MARGIN_SECONDS
from kbootstrap.components.kube_apiserver import UNIT as APISERVER
from kbootstrap.errors import KbootstrapError
from kbootstrap.pki import paths
from kbootstrap.workflows.guards.scene import Scene
from kbootstrap.workflows.parallel import on_all

LONGEST_OUT = 900
"""Seconds after which proxies forget that an apiserver was taken out: a killed run leaves no damage."""

BACK_SECONDS = 120
"""How long an apiserver may take from its start to three good answers in a row and a place in every list."""

OTHERS_SECONDS = 30.0
"""How long the other apiservers may take to be ready, before this one goes."""

PAUSE_SECONDS = 1.0
"""Between two tries: proxies ask for health about once a second."""

READY_SECONDS = 5
"""For an answer of an apiserver that is busy."""


@contextmanager
def out_of_balancers(scene: Scene) -> Iterator[None]:
    """The host's apiserver is in no proxy's list. After a failure it stays out until it is ready again.

    Where it serves nobody as it is, or is the only one, there is nothing to protect.
    """
    if not scene.host.is_control_plane or len(scene.cluster.control_planes) == 1 or not _serves(scene):
        yield
        return
    patiently = Retrying(
        retry=retry_if_exception_type(KbootstrapError),
        stop=stop_after_delay(OTHERS_SECONDS * scene.scale),
        wait=wait_fixed(PAUSE_SECONDS),
        reraise=True,
    )
    try:
        patiently(_tell, scene, "out", LONGEST_OUT, "could not take the apiserver out of the proxy's list")
    except KbootstrapError:
        with suppress(KbootstrapError):  # from the lists that it is out of: nothing will be done to it
            _tell(scene, "in", BACK_SECONDS, "could not put the apiserver back into the proxy's list")
        raise
    yield
    _tell(scene, "in", BACK_SECONDS, "the apiserver did not come back into the proxy's list")


@contextmanager
def apiserver_away(scene: Scene) -> Iterator[None]:
    """The host's apiserver is stopped, after its clients have gone elsewhere: it asks its own host's etcd alone.

    One that does not run (none is there yet, or it does not start) stays as it is.
    """
    is_beside_etcd = scene.host.is_control_plane and scene.host.is_etcd
    if not (is_beside_etcd and scene.own.run(f"systemctl is-active --quiet {APISERVER}").ok):
        yield
        return
    with out_of_balancers(scene):
        delay = scene.cluster.settings.kube_apiserver.shutdown_delay_seconds + STOP_MARGIN_SECONDS
        scene.own.run(f"systemctl stop {APISERVER}", timeout=delay + 30).require("could not stop the apiserver")
        yield
        start = scene.own.run(f"systemctl start {APISERVER}", timeout=BACK_SECONDS * scene.scale)
        start.require("could not start the apiserver again")


def _serves(scene: Scene) -> bool:
    """Whether the host's apiserver is ready."""
    url = f"https://{scene.host.address}:{scene.cluster.settings.endpoint.port}/readyz"
    ask = f"curl --silent --fail --output /dev/null --max-time {READY_SECONDS} --cacert {paths.CA_CERTIFICATE} {url}"
    return scene.own.run(ask, timeout=READY_SECONDS * 3).ok


def _tell(scene: Scene, command: str, seconds: int, failure: str) -> None:
    bound = round(seconds * scene.scale)
    # A proxy that an earlier version of this tool has made has no such program yet.
    line = f"[ ! -x {ENDPOINT_PROGRAM} ] || {ENDPOINT_PROGRAM} {command} {scene.host.address} {bound}"
    on_all(scene.proxies, lambda _name, proxy: proxy.run(line, timeout=bound + 30).require(failure))
