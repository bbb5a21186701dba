"""What a restore, and its undoing, do to a host. Pure.

Every script looks again at what is there: it may be the second time that it runs. Old data are moved, never deleted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from kbootstrap.components import etcd, flannel, kube_apiserver, kube_controller_manager, kube_proxy, kube_scheduler
from kbootstrap.components import kubelet as kubelet_component
from kbootstrap.components.binaries import ETCD, LOCAL_BIN
from kbootstrap.components.service import UNITS, unit_path
from kbootstrap.components.site import Site
from kbootstrap.steps.command import Command
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Step, quote, write_file
from kbootstrap.steps.unit import Unit
from kbootstrap.workflows.restore.record import DONE, UNDER_WAY, Record

STAGE = PurePosixPath("/var/lib/kbootstrap/restore")
SNAPSHOT = STAGE / "etcd.db"

FENCE = UNITS / f"{kube_apiserver.UNIT}.d" / "restore.conf"
BACKUP_UNITS = ("etcd-backup.timer", "etcd-backup.service")

CACHES = (
    kube_apiserver.UNIT,
    kube_controller_manager.UNIT,
    kube_scheduler.UNIT,
    kubelet_component.UNIT,
    kube_proxy.UNIT,
    flannel.UNIT,
    *BACKUP_UNITS,
)
"""What talks to the API and remembers what it was told; and what would back up a cluster that is half restored."""

BUMP_REVISION = 1_000_000_000
"""Further than any cluster writes between a backup and its restore, so that no client has seen these revisions
(Kubernetes documentation, restoring an etcd cluster)."""

_TOGETHER = PurePosixPath("/run/systemd/system") / f"{etcd.UNIT}.d" / "restore.conf"
"""Gone after a boot."""

_STOP_ETCD = f"""\
systemctl stop --no-block {etcd.UNIT} 2>/dev/null || true
systemctl kill --signal=KILL {etcd.UNIT} 2>/dev/null || true
systemctl stop {etcd.UNIT} 2>/dev/null || true
if systemctl is-active --quiet {etcd.UNIT}; then echo "etcd does not stop" >&2; exit 1; fi"""
"""Not gently: all members stop at once, and a leader would look for a successor among them for 6 s (etcd, leadership
transfer). What etcd has acknowledged is on the disk."""

APISERVERS = "/registry/masterleases/"
"""Where each apiserver says every 10 s that it lives, for the endpoints of the service `kubernetes`; it counts for 15 s
(Kubernetes, pkg/controlplane/reconcilers; the prefix is the default of --etcd-prefix)."""

ALWAYS = "false"
"""The guard of what earlier phases of the same plan make necessary."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """Which restore is carried out, or undone."""

    record: Record

    def token(self, site: Site) -> str:
        """Tells the members of the new cluster from those of any before it."""
        return f"{site.cluster.name}-{self.record.run}"


def fence(site: Site, restoration: Restoration) -> list[Step]:
    """Nothing reads or writes through the API any more, also not after a boot, until the restore has ended."""
    units = " ".join(CACHES)
    steps: list[Step] = []
    if site.host.is_control_plane or site.host.is_etcd:
        steps.append(File(UNDER_WAY, restoration.record.model_dump_json().encode(), 0o600))
    if site.host.is_control_plane:
        text = f"# Written by kbootstrap: a restore is under way.\n[Unit]\nAssertPathExists=!{UNDER_WAY}\n"
        steps.append(
            Command(
                "fence the apiserver",
                f"{write_file(FENCE, text.encode(), 0o644, 'root', 'root')}\nsystemctl daemon-reload",
                unless=f"[ -e {FENCE} ]",
            )
        )
    stop = f"""\
systemctl stop --no-block {units} 2>/dev/null || true
systemctl kill --signal=KILL {kube_apiserver.UNIT} 2>/dev/null || true
for unit in {units}; do
  [ "$(systemctl show --property=LoadState --value $unit)" = not-found ] || systemctl stop $unit
done"""
    active = f"systemctl show --property=ActiveState --value {units} | grep -qvxE '(inactive|failed|)'"
    return [*steps, Command("stop what uses the API", stop, unless=f"! {active}")]


def aside(site: Site, restoration: Restoration) -> list[Step]:
    """The member is stopped, and its data are kept."""
    folder = restoration.record.aside
    script = f"""\
{_STOP_ETCD}
umask 077; mkdir -p {folder}
[ ! -d {etcd.DATA}/member ] || mv -T {etcd.DATA}/member {folder}/member
sync {folder}
touch {folder}/moved"""
    return [Command(f"move etcd's data to {folder}", script, unless=f"[ -e {folder}/moved ]")]


def member(site: Site, restoration: Restoration) -> list[Step]:
    """etcd as the inventory wants it, started on the restored data."""
    steps = etcd.etcd(site)
    return [
        *(step for step in steps if not isinstance(step, Unit)),
        _restored(site, restoration),
        _together(),
        *(step for step in steps if isinstance(step, Unit)),
        _started(),
    ]


def _restored(site: Site, restoration: Restoration) -> Step:
    host, data = site.host, etcd.DATA
    work = data / ".restoring"
    members = ",".join(f"{other.name}={etcd.peer_url(other)}" for other in site.cluster.etcd_members)
    script = f"""\
if [ -d {data}/member ]; then exit 0; fi
rm -rf {work}
{ETCD.program("etcdutl")} snapshot restore {SNAPSHOT} --data-dir={work} --name={host.name} \\
  --initial-cluster={quote(members)} --initial-advertise-peer-urls={etcd.peer_url(host)} \\
  --initial-cluster-token={quote(restoration.token(site))} \\
  --bump-revision={BUMP_REVISION} --mark-compacted >/dev/null
chown -R {etcd.USER}:{etcd.USER} {work}
sync {work}/member/snap/db
mv -T {work}/member {data}/member
rm -rf {work}
sync {data}"""
    return Command(
        f"restore {restoration.record.backup}",
        script,
        unless=f"[ -e {restoration.record.aside}/moved ] && [ -d {data}/member ]",
    )


def _together() -> Step:
    """Until the end of the restore, etcd starts without asking the other members for the hash of their keys.

    Members that start together answer each other only afterwards: each would wait 6 s for each (etcd 3.6,
    InitialCheck; 13 s were measured). The phase `in-step` compares them.
    """
    script = f"""\
mkdir -p {_TOGETHER.parent}
{{ printf '[Service]\\nExecStart=\\n'
  sed -n '/^ExecStart=/,/[^\\\\]$/p' {unit_path(etcd.UNIT)} | sed s/InitialCorruptCheck=true/InitialCorruptCheck=false/
}} >{_TOGETHER}
systemctl daemon-reload"""
    return Command("start etcd's members together", script, unless=ALWAYS)


def _started() -> Step:
    """The unit ran when the plan was made, and was stopped since: its own step sees no reason to start it."""
    return Command("start etcd", f"systemctl start --no-block {etcd.UNIT}", unless=ALWAYS)


def back(site: Site, restoration: Restoration) -> list[Step]:
    """The data from before the restore again; those of the restore are kept in their place."""
    folder, data = restoration.record.aside, etcd.DATA
    script = f"""\
{_STOP_ETCD}
umask 077
if [ -e {folder}/moved ]; then
  if [ -d {data}/member ] && [ ! -d {folder}/restored ]; then mv -T {data}/member {folder}/restored; fi
  if [ -d {folder}/member ]; then mv -T {folder}/member {data}/member; fi
  sync {data}
  rm -f {folder}/moved
fi"""
    return [Command(f"put etcd's data back from {folder}", script, unless=ALWAYS), _together(), _started()]


def unfence(site: Site, restoration: Restoration) -> list[Step]:
    """The apiserver may start again, etcd's next start is like any other, and the plain snapshot goes."""
    steps: list[Step] = [Command("remove the snapshot", f"rm -rf {STAGE}", unless=f"[ ! -e {STAGE} ]")]
    if site.host.is_etcd:
        steps.append(_nobody_lives())
        steps.append(Command("etcd starts as ever", f"rm -f {_TOGETHER}\nsystemctl daemon-reload", unless=ALWAYS))
    if site.host.is_control_plane:
        script = f"rm -f {FENCE}\nrmdir {FENCE.parent} 2>/dev/null || true\nsystemctl daemon-reload"
        steps.append(Command("take the fence away", script, unless=ALWAYS))
    return steps


def _nobody_lives() -> Step:
    """The service `kubernetes` has only apiservers that run, as soon as the first of them does.

    Otherwise it would send pods also to those that lived when the backup was made, on hosts that are given up or were
    replaced: their leases come back with the backup, and a restore can be quicker than they expire.
    """
    forget = f"{LOCAL_BIN}/etcdctl --command-timeout=10s del --prefix {APISERVERS} >/dev/null"
    return Command("forget the apiservers of the past", forget, unless=ALWAYS)


FINISHED = f"[ ! -e {UNDER_WAY} ] || mv -fT {UNDER_WAY} {DONE}"
"""Shell that notes the end of a restore."""
UNDONE = f"rm -f {UNDER_WAY} {DONE}"
"""Shell that forgets one."""

PHASES: Mapping[str, Callable[[Site, Restoration], list[Step]]] = MappingProxyType(
    {"fence": fence, "aside": aside, "etcd": member, "back": back, "unfence": unfence}
)
"""By the names of playbooks/restore.yml and playbooks/restore-undo.yml; their other phases are made of components."""
