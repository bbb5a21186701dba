"""A cluster under probes: brings what they need, starts them, and takes everything away again."""

import json
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from kbootstrap.errors import KbootstrapError, Unreachable
from kbootstrap.events import Note, Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.probes.api import Api
from kbootstrap.probes.application import PATH as APPLICATION_PATH
from kbootstrap.probes.application import PREFIX, Application, Stage, staged, wait_until_answered
from kbootstrap.probes.ledger import ledger
from kbootstrap.probes.process import probing
from kbootstrap.probes.recording import Recording
from kbootstrap.probes.spec import KEPT, PATIENCE, RATE, Census, Credentials, Probe, Spec, Target, Watch
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.image import supplied
from kbootstrap.workflows.parallel import on_all

USER = CertificateSpec("kbootstrap-probe", ("system:masters",), client=True)
"""Who asks, as the audit log shows it; the group may do everything, whatever RBAC says."""

CERTIFICATE_DAYS = 1.0
"""Longer than any run; the certificate is only ever in memory."""

TUNNEL_RATE = 10.0
"""Requests of a probe per second where they go through SSH: a channel for each costs this process ten times as much."""

REACH_SECONDS = 3.0
"""For this machine to reach an address, before a tunnel is used instead."""

LOOPBACK = "127.0.0.1"

KUBELET_PORT = 10250
"""Where something listens on every node: whether a node can be reached is tried there."""

REPLICA_HOSTS = 2
"""As many workers are needed for the application to stay while one of them is drained."""

WRITERS = ("write-new", "write-kept")

WRITTEN = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{name}"}})

Reader = Callable[[Stage], Iterable[str]]
"""Reads the names of the writing probes' objects from somewhere, such as an etcd member. Raises KbootstrapError."""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How is probed; the defaults suit an upgrade.

    `rate` is in requests per second and probe, `patience` in seconds. The application is asked for at all nodes in
    turn, or at the `entry` "endpoint": where users are led around a host that goes down, as by the VIP. `samples` is a
    folder that keeps every sample; `through` names the host for tunnels, where they are needed (else a worker).
    With `watch`, one long watch tells of every write. `readers` look for the acknowledged writes in more places than
    the API, by what these are called.
    """

    rate: float = RATE
    patience: float = PATIENCE
    entry: Literal["nodes", "endpoint"] = "nodes"
    samples: Path | None = None
    through: str = ""
    watch: bool = False
    readers: Mapping[str, Reader] = field(default_factory=dict)


@contextmanager
def probed(
    cluster: Cluster, connections: Mapping[str, Connection], emit: Sink, settings: ProbeSettings | None = None
) -> Iterator[Recording]:
    """Probes the cluster while open; afterwards the recording is complete (`Recording.observation`).

    Give the work inside `recording.watch(emit)`, so that its phases are on the same axis. What is deployed for it is
    taken away at the end. The caller holds the cluster's lock. Raises what is in the way of beginning; what goes
    wrong at the end is in the recording, or told through `emit`.
    """
    settings = settings or ProbeSettings()
    with ExitStack() as stack:
        ways = _Ways(cluster, connections, settings.through, stack)
        endpoint = ways.endpoint()
        credentials = _credentials(cluster, connections)
        api = Api(endpoint, credentials)
        application = _application(cluster, connections, emit)
        stage = stack.enter_context(staged(api, application, f"{PREFIX}-{secrets.token_hex(3)}", emit))
        ports = ways.to_application(settings.entry, stage.node_port)
        wait_until_answered(ports, application.path, cluster.settings.timeouts.scale)
        if ways.tunnelled:
            settings = replace(settings, rate=min(settings.rate, TUNNEL_RATE))
        spec = _spec(endpoint, credentials, stage, ports, settings)
        recording = Recording(tuple(probe.name for probe in spec.probes), replicas_wanted=application.ready_always)
        # Called after the prober has ended, and before its objects are taken away.
        stack.callback(_read_back, recording, {"the API": _api_reader(api), **settings.readers}, stage)
        stack.enter_context(probing(spec, recording, settings.samples))
        emit(Note(_announcement(spec)))
        yield recording


def _credentials(cluster: Cluster, connections: Mapping[str, Connection]) -> Credentials:
    """A certificate for this run, signed with the authority of the first control-plane host that can be asked."""
    connection = next((connections[host.name] for host in cluster.control_planes if host.name in connections), None)
    if connection is None:
        raise Unreachable("no control-plane host can be reached, and only they have the cluster's authority")
    authority = Authority(connection.get(str(paths.CA_CERTIFICATE)), connection.get(str(paths.CA_KEY)))
    certificate, key = issue(authority, USER, datetime.now(UTC), CERTIFICATE_DAYS)
    return Credentials(cluster.endpoint_host, authority.certificate.decode(), certificate.decode(), key.decode())


def _application(cluster: Cluster, connections: Mapping[str, Connection], emit: Sink) -> Application:
    """The application under test, its image on every node that can be reached."""
    with supplied(cluster, emit) as image:
        on_all(
            {node.name: connections[node.name] for node in cluster.nodes if node.name in connections},
            lambda _, connection: image.bring(connection),
        )
    workers = [host for host in cluster.nodes if host.is_worker]
    return Application(image.reference, on_control_plane=len(workers) < REPLICA_HOSTS)


def _spec(
    endpoint: Target, credentials: Credentials, stage: Stage, ports: Sequence[Target], settings: ProbeSettings
) -> Spec:
    def probe(name: str, path: str, kept: int = 0, body: str = "") -> Probe:
        return Probe(name, (endpoint,), path, kept=kept, body=body, rate=settings.rate)

    return Spec(
        samples="",
        credentials=credentials,
        probes=(
            probe("api-new", stage.read),
            probe("api-kept", stage.read, KEPT),
            probe("write-new", stage.objects, body=WRITTEN),
            probe("write-kept", stage.objects, KEPT, WRITTEN),
            Probe("application", tuple(ports), APPLICATION_PATH, secure=False, rate=settings.rate),
        ),
        census=Census(endpoint, stage.pods),
        watch=Watch(endpoint, stage.objects) if settings.watch else None,
        patience=settings.patience,
    )


def _announcement(spec: Spec) -> str:
    probes = ", ".join(f"{probe.name} {probe.rate:g}/s" for probe in spec.probes)
    return f"probing through {spec.probes[0].targets[0].host}: {probes}"


def _api_reader(api: Api) -> Reader:
    return lambda stage: api.names(stage.objects)


def _read_back(recording: Recording, readers: Mapping[str, Reader], stage: Stage) -> None:
    """Looks for the acknowledged writes everywhere; what is in the way is a verdict too."""
    written = ledger([track for track in recording.samples().tracks if track.name in WRITERS])
    verdicts = []
    for where, reader in readers.items():
        try:
            verdicts.append(written.compared(set(reader(stage)), where))
        except KbootstrapError as error:
            verdicts.append(written.unread(where, str(error)))
    recording.ledgers = tuple(verdicts)


@dataclass(slots=True)
class _Ways:
    """How this machine reaches the cluster: directly, or through SSH to one of its hosts."""

    cluster: Cluster
    connections: Mapping[str, Connection]
    through: str
    stack: ExitStack
    tunnelled: bool = False

    def endpoint(self) -> Target:
        """The API as clients find it: of proxies on every node, a worker's."""
        port = self.cluster.settings.endpoint.port
        if self.cluster.settings.endpoint.mode == "local":
            return self._tunnel(LOOPBACK, port)
        if _answers(self.cluster.endpoint_host, port):
            return Target(self.cluster.endpoint_host, port)
        return self._tunnel(self.cluster.endpoint_host, port)

    def to_application(self, entry: Literal["nodes", "endpoint"], port: int) -> list[Target]:
        """A port of every node, or of the endpoint."""
        if entry == "endpoint":
            return [self._to_node(self.cluster.endpoint_host, "endpoint", port)]
        return [self._to_node(str(node.address), node.name, port) for node in self.cluster.nodes]

    def _to_node(self, address: str, name: str, port: int) -> Target:
        if _answers(address, KUBELET_PORT):
            return Target(address, port, name)
        return replace(self._tunnel(address, port), name=name)

    def _tunnel(self, address: str, port: int) -> Target:
        self.tunnelled = True
        return Target(LOOPBACK, self.stack.enter_context(self._connection().tunnel(address, port)))

    def _connection(self) -> Connection:
        """Of the host that was named, else of a worker: they are less of a control plane's load."""
        hosts = sorted(self.cluster.nodes, key=lambda host: (host.name != self.through, host.is_control_plane))
        found = next((self.connections[host.name] for host in hosts if host.name in self.connections), None)
        if found is None:
            raise Unreachable("this machine does not reach the cluster's endpoint, and no host is there to go through")
        return found


def _answers(host: str, port: int) -> bool:
    """Whether a TCP connection can be made from here."""
    try:
        socket.create_connection((host, port), REACH_SECONDS).close()
    except OSError:
        return False
    return True
