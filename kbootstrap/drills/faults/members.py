"""An etcd member loses its data and joins again; or two of three lose theirs, and a backup is restored."""

import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kbootstrap.components import endpoint, etcd, kube_apiserver
from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.components.packages import has_proxy
from kbootstrap.drills.arm import Undo, arm, armed_by
from kbootstrap.drills.drill import Drill, Fault
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.guards import NotPossible
from kbootstrap.drills.measure import APPLICATION, EDGE, READS, WRITES, steady, unfelt
from kbootstrap.drills.needs import quorum_to_spare
from kbootstrap.drills.result import Kind
from kbootstrap.engine.lock import new_owner
from kbootstrap.facts.drills import FOLDER
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.render.renderer import render
from kbootstrap.workflows.backups import program
from kbootstrap.workflows.restore.record import UNDER_WAY
from kbootstrap.workflows.restore.restore import Order, prepared, restore

STOP_SECONDS = kube_apiserver.STOP_MARGIN_SECONDS
IN_SECONDS = 90
"""For an apiserver that was away to be in every proxy's list again."""
OUT_SECONDS = 600
"""After which proxies forget that it was taken out, whatever becomes of the drill."""

CAUGHT_UP_SECONDS = 60

WIPE = f"systemctl kill --signal=KILL {etcd.UNIT}\nsystemctl stop {etcd.UNIT}\nrm -rf {etcd.DATA}/member"


@dataclass(frozen=True, slots=True)
class Rejoin:
    """How a member that has lost its data joins again. `others` are the client URLs of the members that are left.

    `serves` is the apiserver that asks this member, empty where there is none.
    """

    name: str
    url: str
    others: tuple[str, ...]
    serves: str
    data: PurePosixPath = etcd.DATA
    marker: PurePosixPath = etcd.MEMBER_MARKER
    initial: PurePosixPath = etcd.INITIAL_CLUSTER
    kept: PurePosixPath = FOLDER / "initial-cluster.env"
    commands: PurePosixPath = LOCAL_BIN
    unit: str = etcd.UNIT
    tries: int = 2 * CAUGHT_UP_SECONDS


def rejoin(cluster: Cluster, member: Host) -> str:
    """Shell, for the member's own host."""
    others = tuple(etcd.client_url(other) for other in cluster.etcd_members if other != member)
    serves = kube_apiserver.UNIT if member.is_control_plane else ""
    return render("drills/rejoin.sh.j2", Rejoin(member.name, etcd.peer_url(member), others, serves)).decode()


def _proxies(ground: Ground) -> list[str]:
    return [host.name for host in ground.cluster.hosts if has_proxy(ground.cluster, host)]


def _wipe(ground: Ground) -> Fault:
    """A follower's data. Its apiserver steps aside first, as before any work on a member."""
    spared = {ground.etcd_leader.name, *ground.status.vip_holders}
    member = next(host for host in ground.cluster.etcd_members if host.name not in spared)
    back = f"{endpoint.PROGRAM} in {member.address} {IN_SECONDS}"
    undo = {member.name: rejoin(ground.cluster, member)}
    if member.is_control_plane:
        for name in _proxies(ground):
            undo[name] = "\n".join(filter(None, (undo.get(name), back)))
    return Fault(
        title=f"the data of the etcd member of {member.name} are deleted",
        hosts=(member.name,),
        before=lambda ground: _aside(ground, member),
        strike={member.name: WIPE},
        undo=undo,
        seconds=5.0,
    )


def _aside(ground: Ground, member: Host) -> None:
    """Nobody is sent to the member's apiserver any more, and it is stopped."""
    if not member.is_control_plane:
        return
    out = f"{endpoint.PROGRAM} out {member.address} {OUT_SECONDS}"
    ground.on(
        _proxies(ground),
        lambda _name, proxy: proxy.run(out).require("the apiserver cannot be taken out of the proxy's list"),
    )
    delay = ground.cluster.settings.kube_apiserver.shutdown_delay_seconds + STOP_SECONDS
    stop = ground.connections[member.name].run(f"systemctl stop {kube_apiserver.UNIT}", timeout=delay + 30)
    stop.require("the apiserver cannot be stopped")


MEMBER_WIPE = Drill(
    name="etcd-member-wipe",
    title="An etcd member is wiped, and joins again",
    budget=lambda _cluster: (unfelt(*READS, *WRITES, *APPLICATION, *EDGE), steady("healthy again", 60)),
    prepare=_wipe,
    needs=quorum_to_spare,
)

LOST = etcd.DATA / "lost"
"""Where the data of lost members wait for the end of the drill, out of etcd's sight."""

LOSE = f"""\
if [ -e {LOST} ]; then
  echo "{LOST} is there already, from a drill before: look at it, and remove it" >&2
  exit 1
fi
systemctl kill --signal=KILL {etcd.UNIT}
systemctl stop {etcd.UNIT}
mv -T {etcd.DATA}/member {LOST}"""

FOUND = f"""\
[ ! -e {UNDER_WAY} ] || exit 0
if [ -e {LOST} ] && [ ! -e {etcd.DATA}/member ]; then mv -T {LOST} {etcd.DATA}/member; fi
systemctl start --no-block {etcd.UNIT}"""
"""Once a restore has begun, only it may go on with etcd's data: what was lost is older than what it writes."""

BACK_SECONDS = 180.0
"""For the restore, and for all controllers to be at work again."""


RESTORE_SECONDS = 600.0
"""For the restore until it has begun to stop etcd: then nothing else may put data back."""

BACKUP_SECONDS = 600.0
"""For the backup; the undo is armed meanwhile, and must not act before there is anything to undo."""


@dataclass(slots=True)
class _Rescue:
    """A backup that is made before members are lost, and restored afterwards."""

    member: Host
    lost: tuple[str, ...]
    identity: Path
    backup: str = ""

    def back_up(self, ground: Ground) -> None:
        ground.kept_until = time.monotonic()
        self.backup = program.make(ground.connections[self.member.name], ground.chronicle.emit)
        ground.chronicle.note(Kind.NOTE, f"the backup {self.backup} is made", self.member.name)

    def restore(self, ground: Ground) -> None:
        """As an operator would. What is armed puts the lost data back, unless the restore has begun."""
        undo = Undo(FOUND, armed_by(ground.owner, QUORUM_LOSS.name))
        arm(ground.connections, dict.fromkeys(self.lost, undo), RESTORE_SECONDS * ground.scale)
        order = Order(self.identity, wanted=self.backup)
        with ground.unlocked(), prepared(ground.cluster, order, new_owner("restore"), ground.chronicle.emit) as ready:
            restore(ready)
        ground.chronicle.note(Kind.NOTE, f"{self.backup} is restored")
        ground.on(self.lost, lambda _name, host: host.run(f"rm -rf {LOST}").require("the lost data cannot be removed"))


def _lose(ground: Ground) -> Fault:
    """Of most members, which leaves no quorum."""
    if ground.identity is None:
        raise NotPossible("the restore needs the backups' private key: --identity FILE")
    members = ground.cluster.etcd_members
    lost = tuple(member.name for member in members[len(members) // 2 :])
    rescue = _Rescue(members[0], lost, ground.identity)
    return Fault(
        title=f"the data of the etcd members of {', '.join(lost)} are lost",
        hosts=lost,
        before=rescue.back_up,
        before_seconds=BACKUP_SECONDS,
        strike=dict.fromkeys(lost, LOSE),
        undo=dict.fromkeys(lost, FOUND),
        recover=rescue.restore,
        seconds=3.0,
    )


def _backups(cluster: Cluster) -> str | None:
    return quorum_to_spare(cluster) or (None if cluster.settings.backup.on else "the inventory wants no backups")


QUORUM_LOSS = Drill(
    name="quorum-loss-restore",
    title="Most etcd members lose their data, and a backup is restored",
    budget=lambda _cluster: (steady("restored, and healthy", BACK_SECONDS),),
    prepare=_lose,
    needs=_backups,
    breaks_quorum=True,
    healing=300.0,
)
