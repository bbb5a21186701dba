"""A cluster under probes: brings what they need, starts them, and takes everything away again."""

import json
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from kbootstrap.errors import KbootstrapError, Unreachable
from kbootstrap.events import Note, Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.probes import kinds
from kbootstrap.probes.api import Api
from kbootstrap.probes.application import NAME as APPLICATION
from kbootstrap.probes.application import PATH as APPLICATION_PATH
from kbootstrap.probes.application import PREFIX, Application, Stage, staged, wait_until_answered
from kbootstrap.probes.ledger import Verdict, ledger
from kbootstrap.probes.process import probing
from kbootstrap.probes.recording import Recording
from kbootstrap.probes.spec import KEPT, PATIENCE, RATE, Census, Credentials, Probe, Spec, Watch
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows import edge_probes, etcd_writes
from kbootstrap.workflows.image import supplied
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.sweeping import sweep
from kbootstrap.workflows.ways import TUNNEL_RATE, Entry, Place, Ways

USER = CertificateSpec("kbootstrap-probe", ("system:masters",), client=True)
"""Who asks, as the audit log shows it; the group may do everything, whatever RBAC says."""

CERTIFICATE_DAYS = 1.0
"""Longer than any run; the certificate is only ever in memory."""

REPLICA_HOSTS = 2
"""As many workers are needed for the application to stay while one of them is drained."""

WRITTEN = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{name}"}})

WRITE_NEW_RATE = 10.0
"""Requests per second, at the most, of what costs a cluster the most of all probes: a write, and a TLS handshake
for it (some 10 ms of CPU on all hosts). Writes and new connections are each probed at the full rate by another, so
that a worker does not send it at all."""

Reader = Callable[[Stage], Iterable[str]]
"""Reads the names of the writing probes' objects from somewhere, such as an etcd member. Raises KbootstrapError."""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How is probed; the defaults suit an upgrade.

    `rate` is in requests per second and probe, `patience` in seconds. The application is asked for at all nodes in
    turn, or at the `entry` "endpoint": where users are led around a host that goes down, as by the VIP. `samples` is a
    folder that keeps every sample; `through` names the host for tunnels, where they are needed (else a worker).
    With `watch`, one long watch tells of every write. With `etcd`, keys are put straight into etcd as well. With a
    `worker_rate`, a worker sends the same, so many times a second. `readers` look for the acknowledged writes in more
    places than the API, by what these are called.

    `hurt` says to whom something will be done; it is asked when the application runs, before the first request.
    Nothing is sent from these workers, and nothing to these etcd members, where there are others.
    """

    rate: float = RATE
    patience: float = PATIENCE
    entry: Entry = "nodes"
    samples: Path | None = None
    through: str = ""
    watch: bool = False
    etcd: bool = False
    worker_rate: float = 0.0
    hurt: Callable[[], Collection[str]] = tuple
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
        ways = Ways(cluster, connections, settings.through, stack)
        endpoint = ways.endpoint()
        credentials = _credentials(cluster, connections)
        api = Api(endpoint, credentials)
        application = _application(cluster, connections, emit)
        stage = stack.enter_context(staged(api, application, f"{PREFIX}-{secrets.token_hex(3)}", emit))
        ports = ways.to_application(settings.entry, stage.node_port)
        wait_until_answered(ports, application.path, cluster.settings.timeouts.scale)
        if ways.tunnelled:
            settings = replace(settings, rate=min(settings.rate, TUNNEL_RATE))
        hurt = settings.hurt()
        here = Place(endpoint, tuple(ports))
        spec = _spec(here, credentials, stage, settings)
        there = ways.from_worker(here, hurt) if settings.worker_rate else None
        if there is not None:
            spec = replace(spec, probes=(*spec.probes, *_requests(there, stage, settings.worker_rate)))
        if settings.etcd:
            spec = replace(spec, probes=(*spec.probes, *_etcd_writes(ways, hurt, stage, settings.rate, emit)))
        spec = replace(spec, probes=(*spec.probes, *edge_probes.probes(ways, settings.rate, emit)))
        names = tuple(probe.name for probe in spec.probes)
        recording = Recording(names, replicas_wanted=application.ready_always, place=_told(there) if there else "")
        # Called after the prober has ended: its objects are read back, then taken away.
        stack.callback(_sweep, ways, hurt, stage, recording, emit)
        stack.callback(_read_back, recording, _api_reader(api), settings.readers, stage)
        stack.enter_context(probing(spec, recording, settings.samples))
        emit(Note(_announcement(spec)))
        yield recording


def _control_plane(cluster: Cluster, connections: Mapping[str, Connection]) -> Connection:
    """The first control-plane host that can be asked."""
    connection = next((connections[host.name] for host in cluster.control_planes if host.name in connections), None)
    if connection is None:
        raise Unreachable("no control-plane host can be reached, and only they have the cluster's authority")
    return connection


def _credentials(cluster: Cluster, connections: Mapping[str, Connection]) -> Credentials:
    """A certificate for this run, signed with the cluster's authority."""
    connection = _control_plane(cluster, connections)
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


def _spec(place: Place, credentials: Credentials, stage: Stage, settings: ProbeSettings) -> Spec:
    return Spec(
        samples="",
        credentials=credentials,
        probes=tuple(_requests(place, stage, settings.rate)),
        census=Census(place.endpoint, stage.pods),
        watch=Watch(place.endpoint, stage.objects) if settings.watch else None,
        patience=settings.patience,
    )


def _requests(place: Place, stage: Stage, rate: float) -> Iterator[Probe]:
    """What users of the API and of the application send from a place."""

    def probe(kind: str, path: str, kept: int = 0, body: str = "", often: float = rate) -> Probe:
        return Probe(kinds.name_at(kind, place.host), (place.endpoint,), path, kept=kept, body=body, rate=often)

    application = kinds.name_at(APPLICATION, place.host)
    yield probe("api-new", stage.read)
    yield probe("api-kept", stage.read, KEPT)
    if not place.host:
        yield probe("write-new", stage.objects, body=WRITTEN, often=min(rate, WRITE_NEW_RATE))
    yield probe("write-kept", stage.objects, KEPT, WRITTEN)
    yield Probe(application, place.ports, APPLICATION_PATH, secure=False, rate=rate)


def _told(place: Place) -> str:
    """What the reader has to know of times from there."""
    return (
        f"{place.host} probes too, through SSH: times are of this machine's clock, and contain a way there and back"
        f" (a command took {place.round_trip * 1000:.0f} ms at the most)"
    )


def _etcd_writes(ways: Ways, hurt: Collection[str], stage: Stage, rate: float, emit: Sink) -> Iterator[Probe]:
    """The probe that writes straight into etcd, where a member can be reached all the time."""
    cluster, connections = ways.cluster, ways.connections
    if targets := etcd_writes.reachable(cluster, ways, hurt):
        who = etcd_writes.credentials(_control_plane(cluster, connections), datetime.now(UTC), CERTIFICATE_DAYS)
        members = etcd_writes.connected(cluster, connections, hurt)
        lease = ways.stack.enter_context(etcd_writes.leased(members, emit))
        yield etcd_writes.probe(targets, who, stage, lease, rate)


def _sweep(ways: Ways, hurt: Collection[str], stage: Stage, recording: Recording, emit: Sink) -> None:
    if members := etcd_writes.connected(ways.cluster, ways.connections, hurt):
        sweep(members, stage, recording.samples().tracks, emit)


def _announcement(spec: Spec) -> str:
    probes = ", ".join(f"{probe.name} {probe.rate:g}/s" for probe in spec.probes)
    return f"probing through {spec.probes[0].targets[0].host}: {probes}"


def _api_reader(api: Api) -> Reader:
    return lambda stage: api.names(stage.objects)


def _read_back(recording: Recording, api: Reader, readers: Mapping[str, Reader], stage: Stage) -> None:
    """Looks for the acknowledged writes everywhere: the API knows those that went through it, the others all."""
    recording.ledgers = (
        _compared(recording, kinds.API_WRITES, "the API", api, stage),
        *(_compared(recording, kinds.WRITES, where, reader, stage) for where, reader in readers.items()),
    )


def _compared(recording: Recording, probes: Sequence[str], where: str, reader: Reader, stage: Stage) -> Verdict:
    """What is in the way is a verdict too."""
    written = ledger([track for track in recording.samples().tracks if kinds.kind_of(track.name) in probes])
    try:
        return written.compared(set(reader(stage)), where)
    except KbootstrapError as error:
        return written.unread(where, str(error))
