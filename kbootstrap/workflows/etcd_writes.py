"""Writes straight into etcd, past the apiservers: what its clients feel when a member is lost.

They go through etcd's gateway: its API as JSON, on the client port, for those with a client certificate. The keys
hang on a lease, so that they go away whatever becomes of this machine.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.components.etcd import CLIENT_PORT
from kbootstrap.errors import CommandFailed, KbootstrapError
from kbootstrap.events import Note, Sink
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.probes.application import PREFIX, Stage
from kbootstrap.probes.kinds import ETCD_WRITE
from kbootstrap.probes.spec import Credentials, Probe, Target
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.ways import LOOPBACK, TUNNEL_RATE, Ways

CLIENT = CertificateSpec("kbootstrap-probe", client=True)
SERVER_NAME = "localhost"
"""Every member's certificate has this name, so one set of credentials does for all."""

PUT = "/v3/kv/put"
KEPT = 2
"""Connections to each member: as long as one waits for an answer, the next request takes another."""

LEASE_SECONDS = 7200
"""Longer than any drill. What a killed one has left goes by then, or when somebody probes again."""

COMMAND_SECONDS = 10.0

_GRANTED = re.compile(r"lease ([0-9a-f]+) granted")


def prefix_of(stage: Stage) -> str:
    """Of the keys that are written in a run."""
    return f"/{stage.namespace}/"


@contextmanager
def leased(members: Sequence[Connection], emit: Sink) -> Iterator[int]:
    """A lease; its keys are taken away at the end, and first of all what killed runs have left.

    The caller holds the cluster's lock, so nobody else probes now. Raises CommandFailed when no member answers.
    """
    etcdctl(members, f"del --prefix /{PREFIX}-")
    said = etcdctl(members, f"lease grant {LEASE_SECONDS}")
    granted = _GRANTED.search(said)
    if granted is None:
        raise CommandFailed("etcd grants no lease", output=said)
    try:
        yield int(granted[1], 16)
    finally:
        try:
            etcdctl(members, f"lease revoke {granted[1]}")
        except KbootstrapError as error:
            emit(Note(f"the keys of {ETCD_WRITE} could not be taken away, and expire by themselves: {error}"))


def reachable(cluster: Cluster, ways: Ways, hurt: Collection[str]) -> list[Target]:
    """The members to write to: those that nothing is done to, as a client's other endpoints are; else all.

    A host that loses its power takes its SSH connection along, so that it is asked only where it is reached directly.
    """
    members = [member for member in cluster.etcd_members if member.name in ways.connections]
    spared = [member for member in members if member.name not in hurt]
    found = [ways.to_member(member, CLIENT_PORT, lasting=bool(spared)) for member in spared or members]
    return [target for target in found if target is not None]


def credentials(connection: Connection, now: datetime, days: float) -> Credentials:
    """A client's, signed with etcd's authority, which this control-plane host has. Raises CommandFailed."""
    authority = Authority(connection.get(str(paths.ETCD_CA_CERTIFICATE)), connection.get(str(paths.ETCD_CA_KEY)))
    certificate, key = issue(authority, CLIENT, now, days)
    return Credentials(SERVER_NAME, authority.certificate.decode(), certificate.decode(), key.decode())


def probe(targets: Sequence[Target], who: Credentials, stage: Stage, lease: int, rate: float) -> Probe:
    """Puts a key of its own each time, at the members in turn."""
    tunnelled = any(target.host == LOOPBACK for target in targets)
    return Probe(
        ETCD_WRITE,
        tuple(targets),
        PUT,
        kept=KEPT,
        body=json.dumps({"key": "{key}", "value": "MQ==", "lease": str(lease)}),
        rate=min(rate, TUNNEL_RATE) if tunnelled else rate,
        prefix=prefix_of(stage),
        credentials=who,
    )


def connected(cluster: Cluster, connections: Mapping[str, Connection], hurt: Collection[str]) -> list[Connection]:
    """The members' hosts, those that nothing is done to first."""
    members = sorted(cluster.etcd_members, key=lambda member: member.name in hurt)
    return [connections[member.name] for member in members if member.name in connections]


def etcdctl(members: Sequence[Connection], arguments: str) -> str:
    """What the first member that can says. Raises CommandFailed, or Unreachable, of the last one."""
    *others, last = members
    command = f"{LOCAL_BIN}/etcdctl --command-timeout={COMMAND_SECONDS:.0f}s {arguments}"
    for member in others:
        try:
            return member.run(command, timeout=2 * COMMAND_SECONDS).require().text
        except KbootstrapError:
            continue
    return last.run(command, timeout=2 * COMMAND_SECONDS).require("etcd does not take what probes need").text
