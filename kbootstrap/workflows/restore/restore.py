"""`restore`: the cluster as it was when a backup was made, on its own hosts or on new ones.

All that can be known is checked before anything is stopped. It may be killed anywhere and run again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbootstrap.artifacts.cache import sha256_of
from kbootstrap.checks.catalogue import CHECKS, Scope
from kbootstrap.components import etcd, kube_apiserver
from kbootstrap.components.kubectl import kubectl
from kbootstrap.engine.journal import now
from kbootstrap.engine.lock import Owner
from kbootstrap.engine.runner import reach
from kbootstrap.errors import InvalidInput
from kbootstrap.events import Sink
from kbootstrap.facts.fact import Fact
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.pki.authority import Pki
from kbootstrap.private import private_folder
from kbootstrap.steps.step import quote
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import opened as opened_hosts
from kbootstrap.workflows.apply import Run, exclusive, execute
from kbootstrap.workflows.converge import look_around
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.playbooks import builtin
from kbootstrap.workflows.rehearsal.etcd import require_snapshot
from kbootstrap.workflows.rehearsal.scratch import Scratch
from kbootstrap.workflows.releases import require_installed_version
from kbootstrap.workflows.restore.archive import Archive, opened
from kbootstrap.workflows.restore.export import exported_keys
from kbootstrap.workflows.restore.judgement import (
    ETCD_FACTS,
    Loss,
    begun,
    loss,
    require_no_other,
    require_room,
    require_versions,
)
from kbootstrap.workflows.restore.keys import restored_keys
from kbootstrap.workflows.restore.phases import phase
from kbootstrap.workflows.restore.record import Record
from kbootstrap.workflows.restore.sources import LATEST, Source, found
from kbootstrap.workflows.restore.steps import FINISHED, SNAPSHOT, STAGE, Restoration
from kbootstrap.workflows.restore.survey import restoring_survey
from kbootstrap.workflows.supplies import obtained, release_of
from kbootstrap.workflows.survey import FirstLook, first_look, make_survey

SEND_SECONDS = 900.0
START_SECONDS = kube_apiserver.START_SECONDS + 30.0
LEAD_SECONDS = 20
"""For controllers to lead: they look for a free lease every 2 s."""
ELECTED = ("kube-controller-manager", "kube-scheduler")
"""What elects a leader: their leases are called as they are."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. `identity` is the age private key; `without` are hosts that are given up.

    `keys` is an export of the cluster's own keys (see export.py), for a backup that lacks them.
    """

    identity: Path
    wanted: str = LATEST
    origin: str | None = None
    without: tuple[str, ...] = ()
    targets: Sequence[Source] = ()
    keys: Path | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A restore that can begin: everything was checked, the hosts are connected and locked."""

    cluster: Cluster
    archive: Archive
    where: str
    connections: Mapping[str, Connection]
    looks: Mapping[str, FirstLook]
    pki: Pki
    restoration: Restoration
    loss: Loss
    fresh: bool
    """Whether no host has any etcd data: there is nothing to move aside, and nothing to lose."""
    resumed: bool
    run: Run
    without: tuple[str, ...] = ()
    """Hosts that are given up; `cluster` has them no more."""


def remaining(cluster: Cluster, without: Sequence[str]) -> Cluster:
    """The cluster without the hosts that are given up. Raises InvalidInput."""
    names = {host.name for host in cluster.hosts}
    if unknown := sorted(set(without) - names):
        raise InvalidInput(f"--without: no host is called {', '.join(unknown)}")
    left = replace(cluster, hosts=tuple(host for host in cluster.hosts if host.name not in without))
    if not left.etcd_members or not left.control_planes:
        raise InvalidInput("--without leaves no control-plane host, or none for etcd")
    return left


@contextmanager
def prepared(cluster: Cluster, order: Order, owner: Owner, emit: Sink) -> Iterator[Ready]:
    """Gets the backup and looks at the hosts. Raises whatever speaks against the restore; nothing is changed."""
    cluster = remaining(cluster, order.without)
    with ExitStack() as stack:
        with phase(emit, "fetch"):
            backup = stack.enter_context(found(cluster, order.wanted, order.origin, emit, order.targets))
        with phase(emit, "decrypt"):
            more = exported_keys(order.keys, order.identity, cluster.name) if order.keys else {}
            identifier = backup.listing.id
            archive = stack.enter_context(opened(backup.folder, identifier, order.identity, cluster.name, more))
            require_versions(archive.manifest, cluster, release_of(cluster))
            _require_database(cluster, archive, emit)
        connections = stack.enter_context(opened_hosts(cluster))
        run = stack.enter_context(exclusive(cluster, connections, owner, emit))
        looks = look_around(cluster, connections, connections, run.emit, _more_facts)
        ready = _judged(cluster, archive, backup.where, connections, looks, run)
        yield replace(ready, without=order.without)


def _require_database(cluster: Cluster, archive: Archive, emit: Sink) -> None:
    """etcdutl of the version that will restore it reads the same as when the backup was made."""
    wanted = release_of(cluster).ref("etcdutl")
    program = obtained(cluster, [wanted], emit)[wanted].path
    with private_folder() as place:
        require_snapshot(Scratch(place), program, archive.database, archive.manifest)


def _more_facts(host: Host) -> tuple[Fact[Any], ...]:
    return ETCD_FACTS if host.is_etcd or host.is_control_plane else ()


def _judged(
    cluster: Cluster,
    archive: Archive,
    where: str,
    connections: Mapping[str, Connection],
    looks: Mapping[str, FirstLook],
    run: Run,
) -> Ready:
    seen = {name: look.facts for name, look in looks.items()}
    manifest, moment = archive.manifest, datetime.now(UTC)
    require_installed_version(cluster, seen)
    require_room(manifest, seen, cluster)
    records = begun(seen)
    require_no_other(records, manifest.id)
    record = next(iter(records.values()), None)
    pki = restored_keys(cluster, seen, archive.keys, moment)
    data = [host.name for host in cluster.etcd_members if _has_data(connections[host.name])]
    return Ready(
        cluster=cluster,
        archive=archive,
        where=where,
        connections=connections,
        looks=looks,
        pki=pki,
        restoration=Restoration(record or Record(backup=manifest.id, run=run.owner.run, began=now())),
        loss=loss(manifest, seen, cluster, moment),
        fresh=not data,
        resumed=record is not None,
        run=run,
    )


def _has_data(connection: Connection) -> bool:
    """Those of now, or those that a restore has moved aside."""
    return connection.run(f"ls -d {etcd.DATA}/member {etcd.DATA}/*/member 2>/dev/null | grep -q .").ok


def restore(ready: Ready) -> None:
    """Does it. Whatever stops it, running it again goes on."""
    cluster, emit = ready.cluster, ready.run.emit
    members = {host.name: ready.connections[host.name] for host in cluster.etcd_members}
    on_all(members, lambda name, host: _send(name, host, ready.archive, emit))
    survey = restoring_survey(ready, builtin("restore"))
    execute(cluster, ready.connections, survey, ready.run)
    if not ready.fresh:
        forget_leaders(cluster, ready.connections, emit)
        forget_nodes(cluster, ready.connections, ready.without, emit)
    start_everything(cluster, ready.connections, ready.run)
    if ready.fresh:
        forget_leaders(cluster, ready.connections, emit, leading=True)
        forget_nodes(cluster, ready.connections, ready.without, emit)
    else:
        restart_dns(cluster, ready.connections, emit)
    finish(cluster, ready.connections, FINISHED)


def _send(name: str, connection: Connection, archive: Archive, emit: Sink) -> None:
    """Brings the snapshot to a member's host, where only root can read it."""
    with phase(emit, "send", name):
        digest = sha256_of(archive.database)
        whole = f"printf '%s  %s\\n' {digest} {SNAPSHOT} | sha256sum --check --status"
        if connection.run(whole, timeout=SEND_SECONDS).ok:
            return
        connection.run(f"mkdir -p -m 700 {STAGE} && chmod 700 {STAGE}").require("there is no place for the snapshot")
        connection.put_file(str(archive.database), str(SNAPSHOT), mode=0o600)
        connection.run(whole, timeout=SEND_SECONDS).require("the snapshot did not arrive whole", hint="run it again")


def start_everything(cluster: Cluster, connections: Mapping[str, Connection], run: Run) -> None:
    """What `up` does: on bare hosts everything, else it starts what was stopped."""
    looks = first_look(cluster, connections)
    execute(cluster, connections, make_survey(cluster, connections, looks, builtin("up"), Path(), run.emit), run)


def forget_leaders(
    cluster: Cluster, connections: Mapping[str, Connection], emit: Sink, *, leading: bool = False
) -> None:
    """Starts the apiservers, and drops the leases of controllers that run nowhere: who starts then leads at once.

    Otherwise each would watch the lease of a leader of the past for 12 s. A host that has no apiserver yet, or where
    it does not start, is for `up` to see to. With `leading`, the controllers run, and are waited for until they lead.
    """
    hosts = {host.name: connections[host.name] for host in cluster.control_planes}
    leases = " ".join(f"lease/{name}" for name in ELECTED)
    forget = kubectl(f"--namespace=kube-system delete --ignore-not-found {leases}")
    with phase(emit, "leaders", cluster.control_planes[0].name):
        on_all(hosts, lambda _name, host: host.run(f"systemctl start {kube_apiserver.UNIT}", timeout=START_SECONDS))
        first = hosts[cluster.control_planes[0].name]
        first.run(f"for try in 1 2 3 4 5; do {forget} && exit; sleep 1; done")
        if leading:
            led = f"{kubectl(f'--namespace=kube-system get {leases}')} >/dev/null 2>&1"
            first.run(f"for try in $(seq {LEAD_SECONDS}); do {led} && exit; sleep 1; done")


def forget_nodes(cluster: Cluster, connections: Mapping[str, Connection], names: Sequence[str], emit: Sink) -> None:
    """Takes the nodes that are given up out of the cluster, and their pods with them.

    Their pods would count as running for minutes, and new ones be put there. Controllers do the same, only later.
    """
    if not names:
        return
    first = cluster.control_planes[0].name
    delete = "delete pods --all-namespaces --force --grace-period=0 --ignore-not-found --field-selector=spec.nodeName="
    forget = " && ".join(
        f"{kubectl(f'delete node --ignore-not-found {name}')} && {kubectl(f'{delete}{name}')}" for name in names
    )
    with phase(emit, "given-up", first):
        connections[first].run(f"for try in 1 2 3 4 5; do {{ {forget}; }} && exit; sleep 1; done")


def restart_dns(cluster: Cluster, connections: Mapping[str, Connection], emit: Sink) -> None:
    """CoreDNS keeps what it was told by the API. Raises CheckFailed when it does not come back."""
    first = cluster.control_planes[0]
    connection = connections[first.name]
    check = CHECKS["dns-ready"](Scope(cluster, first, cluster.hosts))
    with phase(emit, "dns", first.name):
        command = kubectl(f"--namespace=kube-system rollout restart deployment/{quote('coredns')}")
        connection.run(command).require("CoreDNS cannot be restarted")
        reach(check, first.name, connections, cluster.settings.timeouts.scale)


def finish(cluster: Cluster, connections: Mapping[str, Connection], note: str) -> None:
    """Notes on every host that there is no restore under way any more."""
    on_all(connections, lambda _name, connection: connection.run(note).require("the end could not be noted"))
