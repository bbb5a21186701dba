"""An application as users run them: two replicas spread over hosts, a PodDisruptionBudget, a NodePort."""

import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import yaml

from kbootstrap.errors import CheckFailed, KbootstrapError
from kbootstrap.events import Note, Sink
from kbootstrap.probes.api import Api, Object, Refused
from kbootstrap.probes.spec import Target
from kbootstrap.render.renderer import render

PREFIX = "kbootstrap-probe"
LABEL = "kbootstrap.io/probe"
OWNER = "kbootstrap-probe"

NAMESPACES = "/api/v1/namespaces"

NAME = "application"
"""Of the Deployment and the rest, and of their label `app`."""

READ = "read"
"""The object that the reading probes read."""

PATH = "/hostname"
"""What the application is asked for."""

READY_SECONDS = 150.0
"""From its creation until every node's port answers; kube-proxy's rules lag behind a pod's readiness. Where the
EndpointSlice controller finds its cache behind seven times, as after an apiserver's death on busy hosts, it comes back
after 64 s (73 were seen)."""

GONE_SECONDS = 10.0
"""For a namespace with a few objects. Those of minutes are deleted one by one for as long: nobody needs to wait."""

CONNECT_SECONDS = 2.0
INTERVAL = 0.2


@dataclass(frozen=True, slots=True)
class Application:
    """What is deployed. With one worker only, its replicas may run on control-plane hosts too."""

    image: str
    replicas: int = 2
    ready_always: int = 1
    """The PodDisruptionBudget's `minAvailable`."""
    on_control_plane: bool = False
    name: str = NAME
    path: str = PATH
    port: int = 8080
    drain_seconds: int = 5
    """Between a pod's being taken out of the Service and its end (preStop): every kube-proxy has followed by then."""
    control_plane_taint: str = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True, slots=True)
class Stage:
    """A namespace of the probes, with the port on which every node offers the application."""

    namespace: str
    node_port: int

    @property
    def objects(self) -> str:
        """Where the writing probes' objects are."""
        return f"{NAMESPACES}/{self.namespace}/configmaps"

    @property
    def read(self) -> str:
        """What the reading probes read."""
        return f"{self.objects}/{READ}"

    @property
    def pods(self) -> str:
        """The application's pods."""
        return f"{NAMESPACES}/{self.namespace}/pods?labelSelector=app%3D{NAME}"


@contextmanager
def staged(api: Api, application: Application, namespace: str, emit: Sink) -> Iterator[Stage]:
    """The application, deployed, in a namespace of its own that is taken away at the end; `emit` hears if it cannot be.

    What killed runs have left is taken away first: the caller holds the cluster's lock, so nobody else probes now.
    """
    for stale in list(api.names(NAMESPACES, labelSelector=LABEL)):
        api.delete(f"{NAMESPACES}/{stale}")
    try:
        yield Stage(namespace, _deployed(api, application, namespace))
    finally:
        _remove(api, namespace, emit)


def _deployed(api: Api, application: Application, namespace: str) -> int:
    labels = {LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted"}
    api.apply(
        f"{NAMESPACES}/{namespace}",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}},
        OWNER,
    )
    read = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": READ}}
    made: dict[str, Object] = {}
    for item in [read, *manifests(application)]:
        made[item["kind"]] = api.apply(_path(item, namespace), item, OWNER)
    port: int = made["Service"]["spec"]["ports"][0]["nodePort"]
    return port


def manifests(application: Application) -> list[dict[str, Any]]:
    """The application's objects."""
    return [item for item in yaml.safe_load_all(render("probes/application.yaml.j2", application)) if item]


def _path(item: Object, namespace: str) -> str:
    version, plural = item["apiVersion"], f"{item['kind'].lower()}s"
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    return f"{root}/namespaces/{namespace}/{plural}/{item['metadata']['name']}"


def wait_until_answered(
    targets: Sequence[Target], path: str, scale: float, why_not: Callable[[], str] = lambda: ""
) -> None:
    """Until every target has answered; raises CheckFailed, with `why_not()`, when one does not."""
    deadline = time.monotonic() + READY_SECONDS * scale
    waiting = list(targets)
    while waiting := [target for target in waiting if not answers(target, path)]:
        if time.monotonic() > deadline:
            names = ", ".join(target.name or target.host for target in waiting)
            raise CheckFailed(
                f"the application under test does not answer on {names} within {READY_SECONDS * scale:.0f} s",
                output=why_not() or None,
                hint="are the nodes ready, and does `kbootstrap verify` pass?",
            )
        time.sleep(INTERVAL)


def answers(target: Target, path: str) -> bool:
    """Whether a target answers a plain GET now."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=CONNECT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _remove(api: Api, namespace: str, emit: Sink) -> None:
    """Deletes the namespace and waits a moment until it is gone. What does not go away is told and fails nothing."""
    deadline = time.monotonic() + GONE_SECONDS
    path = f"{NAMESPACES}/{namespace}"
    try:
        api.delete(path)
        # Nobody asks the application any more: it need not end gently. What else is there goes with the namespace.
        api.delete(f"{path}/pods", gracePeriodSeconds="0")
        while time.monotonic() < deadline:
            api.get(path)
            time.sleep(INTERVAL)
        emit(Note(f"the namespace {namespace} with the probes' objects is deleted; it takes a while to go away"))
    except KbootstrapError as error:
        if not (isinstance(error, Refused) and error.status == HTTPStatus.NOT_FOUND):
            emit(Note(f"the namespace {namespace} could not be taken away: {error}", level="warning"))
