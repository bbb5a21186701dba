"""`status`: how a cluster is, part by part. It works on a broken one: what cannot be known says why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from typing import Any

from kbootstrap.components import etcd
from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.engine.journal import HOST_JOURNAL, parse_entries
from kbootstrap.engine.lock import NOTE, Owner, parse_note
from kbootstrap.errors import KbootstrapError
from kbootstrap.facts.disks import DiskSpace, Space
from kbootstrap.facts.drills import DrillMark, Mark
from kbootstrap.facts.etcd import EtcdStatus, MemberStatus
from kbootstrap.facts.fact import Fact, Facts, read
from kbootstrap.facts.health import Answer, Health
from kbootstrap.facts.identity import Identity
from kbootstrap.facts.nodes import ApiView, KubeNodes
from kbootstrap.facts.pki import CertificateExpiry, Expiry
from kbootstrap.facts.runs import LastLines, LockNote
from kbootstrap.facts.units import UnitState
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.pki import paths
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.access import reached
from kbootstrap.workflows.backups.hosts import BACKUPS
from kbootstrap.workflows.backups.overview import Overview, summarize
from kbootstrap.workflows.balancing import (
    Forwarding,
    PassedOver,
    balancing_facts,
    forwarded,
    is_director,
    not_forwarded_to,
    passed_over,
)
from kbootstrap.workflows.footprint import CONTROL_PLANE_UNITS, units
from kbootstrap.workflows.parallel import MAX_PARALLEL, on_all
from kbootstrap.workflows.past import PastRun, merge, newest_drills

_JOURNAL = LastLines(HOST_JOURNAL, 100)
"""The beginning and the end of each run: enough for two suites of drills."""
_LOCK = LockNote(NOTE)
_NODES = KubeNodes()
_ETCD = EtcdStatus(LOCAL_BIN / "etcdctl")
_CERTIFICATES = CertificateExpiry()
_DRILL = DrillMark()
_ETCD_DISK = DiskSpace(etcd.DATA)

CONNECT_SECONDS = 4.0
"""For a TCP connection, before the inventory's scale: two lost packets."""
LOG_IN_BY_HAND = "is it powered on, and does `ssh` to it work by hand?"

CONTROLLER_MANAGER_PORT = 10257
SCHEDULER_PORT = 10259
_LOOPBACK_HEALTH = {
    "kube-controller-manager.service": f"https://127.0.0.1:{CONTROLLER_MANAGER_PORT}/healthz",
    "kube-scheduler.service": f"https://127.0.0.1:{SCHEDULER_PORT}/healthz",
}
_LEASES = {"kube-controller-manager.service": "kube-controller-manager", "kube-scheduler.service": "kube-scheduler"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of the API, as the hosts find it: which of them got an answer, and why others did not.

    Directors are in neither: what the holder of a VIP sends there never leaves it, or comes from the VIP itself.
    """

    address: str
    answered: tuple[str, ...]
    failed: Mapping[str, str]
    seconds: float | None
    """The median of the answers' times."""


@dataclass(frozen=True, slots=True)
class Part:
    """A control-plane daemon on a host; `health` is None for a host that could not be asked."""

    host: str
    unit: str
    active: str
    health: Answer | None
    leads: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A service of ours that does not run as it should."""

    host: str
    unit: str
    state: str


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a host could not be read, and what to do about it."""

    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class Status:
    """A cluster's condition; where a value is None, it could not be known."""

    cluster: str
    version: str
    seen_at: datetime
    hosts: tuple[str, ...]
    unreachable: Mapping[str, Unread]
    endpoint: Endpoint
    vip: str | None
    """None in the modes that have none."""
    vip_holders: tuple[str, ...]
    passed_over: tuple[PassedOver, ...]
    forwarding: tuple[Forwarding, ...]
    """Of load balancers with LVS."""
    members: Mapping[str, MemberStatus | None]
    disks: Mapping[str, Space]
    """Where etcd's data are, of each host that could be read."""
    parts: tuple[Part, ...]
    stopped: tuple[Service, ...]
    api: ApiView | None
    missing_nodes: tuple[str, ...]
    certificates: Mapping[str, Expiry | None]
    """Of each host, the one that expires first."""
    backups: Overview | None
    """As the etcd hosts know it, without a look at the targets; None where the inventory wants none."""
    drills: Mapping[str, Mark]
    """What drills have left on hosts: one that goes on, or was cut short."""
    drilled: tuple[PastRun, ...]
    """The newest run of each drill, from whatever machine, oldest first."""
    last_run: PastRun | None
    lock: Owner | None

    @property
    def hosts_read(self) -> tuple[str, ...]:
        """The hosts that told what they know."""
        return tuple(host for host in self.hosts if host not in self.unreachable)


def read_status(cluster: Cluster) -> Status:
    """One round trip to every host that answers. Never raises because of the cluster's condition."""
    with reached(_impatient(cluster)) as (connections, failures):
        return status_through(cluster, connections, failures)


def status_through(
    cluster: Cluster,
    connections: Mapping[str, Connection],
    failures: Mapping[str, KbootstrapError] | None = None,
    at_once: int = MAX_PARALLEL,
) -> Status:
    """The same through connections that are there already; `failures` says why there is none to other hosts."""
    outcomes = on_all(connections, lambda name, connection: _look(cluster, cluster.host(name), connection), at_once)
    seen = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Facts)}
    unread = dict(failures or {})
    unread |= {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, KbootstrapError)}
    reasons = {name: Unread(error.message, error.hint or LOG_IN_BY_HAND) for name, error in unread.items()}
    return condition(cluster, seen, reasons, datetime.now(UTC))


def _impatient(cluster: Cluster) -> Cluster:
    """The same cluster; a host without power is given up earlier than by a run that must not miss one."""
    timeouts = cluster.settings.timeouts
    seconds = min(timeouts.connect_seconds, CONNECT_SECONDS * timeouts.scale)
    hasty = timeouts.model_copy(update={"connect_seconds": seconds})
    return replace(cluster, settings=cluster.settings.model_copy(update={"timeouts": hasty}))


def _look(cluster: Cluster, host: Host, connection: Connection) -> Facts | KbootstrapError:
    try:
        return read(connection, status_facts(cluster, host))
    except KbootstrapError as error:
        return error
    except (ValueError, LookupError) as error:  # a host so broken that its tools print something else
        return KbootstrapError(f"gave an answer that makes no sense: {error}", host=host.name)


def status_facts(cluster: Cluster, host: Host) -> Sequence[Fact[Any]]:
    """What is read from a host."""
    found: list[Fact[Any]] = [Identity(), _JOURNAL, _LOCK, _DRILL, _CERTIFICATES]
    found += [] if is_director(cluster, host) else [_endpoint(cluster, host)]
    found += [UnitState(unit) for unit in units(cluster, host)]
    found += balancing_facts(cluster, host)
    if host.is_control_plane:
        found += [*_healths(cluster, host).values(), _NODES]
    if host.is_etcd:
        found += [_ETCD, _ETCD_DISK]
        found += [BACKUPS] if cluster.settings.backup.on else []
    return found


def _endpoint(cluster: Cluster, host: Host) -> Health:
    return Health(f"https://{cluster.api_server_for(host)}/readyz", paths.CA_CERTIFICATE)


def _healths(cluster: Cluster, host: Host) -> dict[str, Health]:
    own = Health(f"https://{host.address}:{cluster.settings.endpoint.port}/readyz", paths.CA_CERTIFICATE)
    return {"kube-apiserver.service": own, **{unit: Health(url) for unit, url in _LOOPBACK_HEALTH.items()}}


def condition(cluster: Cluster, seen: Mapping[str, Facts], unreachable: Mapping[str, Unread], now: datetime) -> Status:
    """The cluster's condition, from what was read from those hosts that answered."""
    api = next((view for name in seen if (view := _api(cluster, name, seen)) is not None), None)
    vip = cluster.settings.endpoint.vip
    forwarding = forwarded(cluster, seen)
    runs = merge(entry for facts in seen.values() for entry in parse_entries(facts[_JOURNAL]))
    locks = [note[1] for facts in seen.values() if (note := parse_note(facts[_LOCK])) is not None]
    return Status(
        cluster=cluster.name,
        version=str(cluster.kubernetes),
        seen_at=now,
        hosts=tuple(host.name for host in cluster.hosts),
        unreachable=unreachable,
        endpoint=_endpoint_state(cluster, seen),
        vip=str(vip) if vip else None,
        vip_holders=tuple(
            host.name
            for host in cluster.vip_hosts
            if vip and host.name in seen and seen[host.name][Identity()].interface_of(vip)
        ),
        passed_over=(*passed_over(cluster, seen), *not_forwarded_to(cluster, forwarding)),
        forwarding=forwarding,
        members={host.name: seen[host.name][_ETCD] if host.name in seen else None for host in cluster.etcd_members},
        disks={host.name: seen[host.name][_ETCD_DISK] for host in cluster.etcd_members if host.name in seen},
        parts=tuple(_parts(cluster, seen, api)),
        stopped=tuple(_stopped(cluster, seen)),
        api=api,
        missing_nodes=_missing_nodes(cluster, api),
        backups=_backups(cluster, seen, now),
        certificates={name: _first(facts[_CERTIFICATES]) for name, facts in seen.items()},
        drills={name: mark for name, facts in seen.items() if (mark := facts[_DRILL]) is not None},
        drilled=newest_drills(runs),
        last_run=next(iter(runs[-1:]), None),
        lock=next(iter(locks), None),
    )


def _backups(cluster: Cluster, seen: Mapping[str, Facts], now: datetime) -> Overview | None:
    if not cluster.settings.backup.on:
        return None
    views = {host.name: seen[host.name] for host in cluster.etcd_members if host.name in seen}
    members = [facts[_ETCD] for facts in views.values()]
    return summarize({name: facts[BACKUPS] for name, facts in views.items()}, None, members, now)


def _first(expiries: tuple[Expiry, ...]) -> Expiry | None:
    return expiries[0] if expiries else None


def _api(cluster: Cluster, name: str, seen: Mapping[str, Facts]) -> ApiView | None:
    return seen[name][_NODES] if cluster.host(name).is_control_plane else None


def _endpoint_state(cluster: Cluster, seen: Mapping[str, Facts]) -> Endpoint:
    asked = (cluster.host(name) for name in seen)
    answers = {h.name: seen[h.name][_endpoint(cluster, h)] for h in asked if not is_director(cluster, h)}
    times = [answer.seconds for answer in answers.values() if answer.ok]
    return Endpoint(
        address=f"{cluster.endpoint_host}:{cluster.settings.endpoint.port}",
        answered=tuple(name for name, answer in answers.items() if answer.ok),
        failed={name: said(answer) for name, answer in answers.items() if not answer.ok},
        seconds=median(times) if times else None,
    )


def said(answer: Answer) -> str:
    """An answer in words."""
    return "ok" if answer.ok else f"HTTP {answer.code}" if answer.code else answer.error or "no answer"


def _parts(cluster: Cluster, seen: Mapping[str, Facts], api: ApiView | None) -> list[Part]:
    leaders = {lease.name: lease.holder for lease in api.leases} if api else {}
    found = []
    for unit in CONTROL_PLANE_UNITS:
        for host in cluster.control_planes:
            if host.name not in seen:
                found.append(Part(host.name, unit, "unknown", None))
                continue
            facts = seen[host.name]
            holder = leaders.get(_LEASES.get(unit, ""), "").rpartition("_")[0]
            found.append(
                Part(
                    host=host.name,
                    unit=unit,
                    active=facts[UnitState(unit)].active,
                    health=facts[_healths(cluster, host)[unit]],
                    leads=bool(holder) and holder == facts[Identity()].hostname,
                )
            )
    return found


def _stopped(cluster: Cluster, seen: Mapping[str, Facts]) -> list[Service]:
    found = []
    for name, facts in seen.items():
        for unit in units(cluster, cluster.host(name)):
            state = facts[UnitState(unit)]
            if state.active != "active":
                words = "not installed" if not state.loaded else f"{state.active} ({state.sub})"
                found.append(Service(name, unit, words))
    return found


def _missing_nodes(cluster: Cluster, api: ApiView | None) -> tuple[str, ...]:
    if api is None:
        return ()
    there = {node.name for node in api.nodes}
    return tuple(host.name for host in cluster.nodes if host.name not in there)
