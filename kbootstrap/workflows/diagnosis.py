"""What is wrong with a cluster, judged from its status, and what to do next."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from kbootstrap.components import backup, etcd, keepalived, nginx
from kbootstrap.facts.pki import APPLICATIONS_FOLDER
from kbootstrap.model.served_certificate import SOON
from kbootstrap.model.settings import Settings
from kbootstrap.workflows.past import CUT_SHORT
from kbootstrap.workflows.status import Status, said

RAFT_LAG = 1_000
"""Entries behind the leader from which on a member is called late; etcd itself sends a snapshot at 5,000."""

DATABASE_SHARE = 0.8
"""Of the quota, from which on the database is called large: at 1 etcd takes no more writes."""

LEAST_DISK_BYTES = 128 * 2**20
"""Two segments of etcd's log: it makes each whole before it writes in it, and ends where it cannot."""

BY_HAND = "`kbootstrap up` installs and starts what should run; on the host: journalctl -u {unit} -n 50"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong, where, and what to do about it."""

    where: str
    what: str
    next: str


def troubles(status: Status, settings: Settings) -> list[Trouble]:
    """Everything that is not as it should be, what matters most first. Empty for a healthy cluster."""
    return [
        *degraded(status, settings),
        *(trouble for source in (_certificates, _backups, _runs) for trouble in source(status, settings)),
    ]


def degraded(status: Status, settings: Settings) -> list[Trouble]:
    """What keeps the cluster from serving as it should, or leaves it without what it has in reserve, now."""
    sources = (_unreachable, _endpoint, _vip, _forwarding, _quorum, _members, _disks, _services, _health, _nodes)
    return [trouble for source in sources for trouble in source(status, settings)]


def _unreachable(status: Status, _: Settings) -> Iterator[Trouble]:
    for host, unread in status.unreachable.items():
        yield Trouble(host, f"cannot be read: {unread.why}", unread.hint)


def _endpoint(status: Status, _: Settings) -> Iterator[Trouble]:
    endpoint = status.endpoint
    if not endpoint.answered and not endpoint.failed:
        return
    if not endpoint.answered:
        yield Trouble(
            endpoint.address,
            "the API answers nobody at its endpoint",
            f"look at what follows: etcd first, then the apiservers, then {nginx.UNIT} and {keepalived.UNIT}",
        )
        return
    for host, why in endpoint.failed.items():
        yield Trouble(host, f"does not reach the API at its endpoint: {why}", "check its network, and its proxy if any")


def _vip(status: Status, _: Settings) -> Iterator[Trouble]:
    if status.vip is None or not status.hosts_read:
        return
    if not status.vip_holders and not status.unreachable:
        yield Trouble(
            status.vip, "no host holds the VIP", f"on the hosts that may: journalctl -u {keepalived.UNIT} -n 50"
        )
    if len(status.vip_holders) > 1:
        yield Trouble(
            status.vip,
            f"more than one host holds the VIP: {', '.join(status.vip_holders)}",
            "VRRP (IP protocol 112) does not pass between them: check firewalls, and that no other cluster in this"
            " network has the same keepalived: {router_id: …}",
        )


def _forwarding(status: Status, _: Settings) -> Iterator[Trouble]:
    for one in status.forwarding:
        if one.server is None and not any(service.host == one.host for service in status.stopped):
            yield Trouble(one.host, f"IPVS forwards nothing for {one.address}", BY_HAND.format(unit=keepalived.UNIT))


def _quorum(status: Status, _: Settings) -> Iterator[Trouble]:
    """Members on hosts that cannot be read may be well; one that knows of a leader proves that there is a quorum."""
    answering = [member for member in status.members.values() if member is not None]
    unknown = sum(host in status.unreachable for host in status.members)
    needed = len(status.members) // 2 + 1
    if len(answering) + unknown < needed:
        yield Trouble(
            "etcd",
            f"{len(answering)} of {len(status.members)} members answer, {needed} are a quorum: nothing can be written",
            "bring the other members back; if they are lost for good, restore a backup",
        )
    elif answering and not any(member.leader for member in answering):
        yield Trouble(
            "etcd",
            "no member knows of a leader: nothing can be written",
            f"are enough members' hosts up? On them: journalctl -u {etcd.UNIT} -n 50",
        )


def _members(status: Status, settings: Settings) -> Iterator[Trouble]:
    newest = max((member.raft_index for member in status.members.values() if member), default=0)
    for host, member in status.members.items():
        if host in status.unreachable:
            continue
        if member is None and any((host, etcd.UNIT) == (service.host, service.unit) for service in status.stopped):
            continue  # said with the other services
        if member is None:
            yield Trouble(host, "its etcd member does not answer", BY_HAND.format(unit=etcd.UNIT))
            continue
        for alarm in member.alarms:
            yield Trouble(
                host, f"etcd: {alarm}", "NOSPACE: compact, `etcdctl defrag`, then `etcdctl alarm disarm` on the host"
            )
        if newest - member.raft_index > RAFT_LAG:
            behind = newest - member.raft_index
            yield Trouble(host, f"its etcd member is {behind} entries behind", "is its disk slow, or its network?")
        if member.db_bytes > settings.etcd.quota_bytes * DATABASE_SHARE:
            yield Trouble(
                host,
                f"its etcd database has {member.db_bytes / 2**20:.0f} MiB of {settings.etcd.quota_bytes / 2**20:.0f}",
                "`etcdctl defrag` on the host, one member at a time; or raise etcd: {quota_bytes: …}",
            )


def _disks(status: Status, _: Settings) -> Iterator[Trouble]:
    for host, space in status.disks.items():
        if space.mount and space.free_bytes < LEAST_DISK_BYTES:
            free = f"{space.free_bytes / 2**20:.0f} MiB are left on {space.mount}"
            yield Trouble(
                host, f"its disk with etcd's data is full: {free}", "make room there; etcd then starts by itself"
            )


def _services(status: Status, _: Settings) -> Iterator[Trouble]:
    together: dict[tuple[str, str], list[str]] = {}
    for service in status.stopped:
        together.setdefault((service.host, service.state), []).append(service.unit)
    for (host, state), units in together.items():
        names = ", ".join(unit.removesuffix(".service") for unit in units)
        yield Trouble(host, f"{state}: {names}", BY_HAND.format(unit=units[0]))


def _health(status: Status, _: Settings) -> Iterator[Trouble]:
    for part in status.parts:
        if part.health is not None and part.active == "active" and not part.health.ok:
            yield Trouble(part.host, f"{part.unit} is not healthy: {said(part.health)}", BY_HAND.format(unit=part.unit))


def _nodes(status: Status, _: Settings) -> Iterator[Trouble]:
    if status.api is None:
        if any(status.endpoint.answered):
            yield Trouble("nodes", "the API gave no list of the nodes", "on a control-plane host: kubectl get nodes")
        return
    for name in status.missing_nodes:
        yield Trouble(name, "is not a node of the cluster", "`kbootstrap up` makes it one")
    for node in status.api.nodes:
        if node.ready != "True" and node.name not in status.unreachable:
            what = f"the node is not Ready: {node.message}" if node.message else "the node is not Ready"
            yield Trouble(node.name, what, "on the host: journalctl -u kubelet -u containerd -u flanneld -n 50")


def _certificates(status: Status, settings: Settings) -> Iterator[Trouble]:
    early = timedelta(days=settings.certificates.renew_before_days)
    for host, first in status.certificates.items():
        if first is None:
            continue
        ours = not first.path.is_relative_to(APPLICATIONS_FOLDER)
        if first.not_after - status.seen_at < (early if ours else SOON):
            left = first.days_left(status.seen_at)
            what = "has expired" if left < 0 else f"expires in {left} days"
            remedy = "`kbootstrap up` issues it anew" if ours else "renew the inventory's, then `kbootstrap up`"
            yield Trouble(host, f"the certificate {first.path} {what}", remedy)


def _backups(status: Status, settings: Settings) -> Iterator[Trouble]:
    if status.backups is None:
        return
    for host, last in status.backups.runs.items():
        if not last.ok:
            yield Trouble(
                host,
                f"its last backup ({last.at}) failed: {last.error}",
                f"`kbootstrap backup run --limit {host}`; on the host: journalctl -u {backup.SERVICE} -t etcd-backup",
            )
    for kept in status.backups.backups:
        for place, why in kept.damaged.items():
            yield Trouble(
                place, f"its copy of {kept.id} is damaged: {why}", "`kbootstrap backup list` shows the others"
            )
    point = status.backups.recovery_point
    if status.backups.overdue and point is not None:
        old = timedelta(seconds=round((status.seen_at - point.made).total_seconds()))
        yield Trouble(
            "backups",
            f"overdue: the last good one is {old} old, and one is due every {status.backups.pause}",
            f"`kbootstrap backup run`; on the etcd hosts: systemctl list-timers {backup.TIMER}",
        )
    scheduled = settings.backup.schedule is not None
    if scheduled and point is None and not status.unreachable and not status.backups.runs:
        yield Trouble("backups", "there is none yet", "`kbootstrap backup run`, or wait for the schedule")


def _runs(status: Status, _: Settings) -> Iterator[Trouble]:
    run = status.last_run
    if run is None or status.lock is not None or run.outcome == "ok":
        return
    how = "was cut short" if run.outcome == CUT_SHORT else f"ended as {run.outcome}: {run.error}".removesuffix(": ")
    is_drill = bool(run.drill)  # what it has left the host puts right by itself, or the next one
    if is_drill and run.outcome != CUT_SHORT:  # it was undone: what is wrong now is told for itself
        return
    yield Trouble(
        "runs",
        f"the last run (`{run.command}` by {run.who}, {run.at}) {how}",
        "the next drill puts right what it has left" if is_drill else f"`kbootstrap {run.command}` goes on",
    )
