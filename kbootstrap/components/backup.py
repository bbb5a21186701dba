"""Backups of etcd and of the cluster's keys: a program on every etcd host, and a timer for it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from kbootstrap.components.binaries import LIBEXEC, LOCAL_BIN
from kbootstrap.components.etcd import client_url
from kbootstrap.components.host import CONFIG_FOLDER
from kbootstrap.components.service import CONFINED, unit_path
from kbootstrap.components.site import Site
from kbootstrap.model.backup import Backup, Target
from kbootstrap.pki import paths
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import Absent, Directory, File
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit, UnitAbsent

SERVICE = "etcd-backup.service"
TIMER = "etcd-backup.timer"
FAILED = "etcd-backup-failed.service"
PROGRAM = LIBEXEC / "etcd-backup"
RETENTION = LIBEXEC / "etcd-backup-retention.awk"
CONFIG = CONFIG_FOLDER / "backup"
RECIPIENTS = CONFIG / "recipients"
INVENTORY = CONFIG / "inventory.yml"
RCLONE = CONFIG / "rclone.conf"
FOLDER = PurePosixPath("/var/lib/kbootstrap/backups")
SEEN = FOLDER / ".targets"
LAST = FOLDER / "last.json"
BUSY = 75
"""What the program ends with while another one is at work (EX_TEMPFAIL)."""

STAGGER_SECONDS = 30
"""From one host's scheduled backup to the next one's, so that the disks of all members are not busy at once."""
RUN_SECONDS = 3 * 3600
"""For one backup: 8 GiB, etcd's largest, at 2 MB/s to a target, and read back."""

LIMITS: Mapping[str, str] = MappingProxyType({"CPUQuota": "20%", "CPUQuotaPeriodSec": "20ms"})
"""Of a backup: a fifth of one processor. etcd hands out a snapshot as fast as it is taken; where it has few processors,
writes wait for that. At this pace, about 40 MB/s, they do not (docs/backups.md). Names as in systemd's units.
"""

_DEFAULTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "s3": {"no_check_bucket": "true"},  # a bucket that is gone must be an error, not be made anew
        "sftp": {"disable_hashcheck": "true"},  # all is read back anyhow, and many servers run no commands
    }
)

KEYS = (
    paths.CA_CERTIFICATE,
    paths.CA_KEY,
    paths.ETCD_CA_CERTIFICATE,
    paths.ETCD_CA_KEY,
    paths.FRONT_PROXY_CA_CERTIFICATE,
    paths.FRONT_PROXY_CA_KEY,
    paths.SERVICE_ACCOUNT_PUBLIC,
    paths.SERVICE_ACCOUNT_PRIVATE,
    paths.ENCRYPTION_CONFIG,
)
"""What etcd's content is worth nothing without. Everything else below /etc/kubernetes is made from it."""


@dataclass(frozen=True, slots=True)
class Program:
    """The program, for one host; texts are quoted for the shell."""

    cluster: str
    host: str
    kubernetes: str
    keep: tuple[str, ...]
    keys: tuple[str, ...]
    metrics: str
    upload: str
    bandwidth: str
    members: Mapping[str, str]
    targets: Mapping[str, str]
    folder: PurePosixPath = FOLDER
    seen: PurePosixPath = SEEN
    lock: PurePosixPath = FOLDER / ".lock"
    reserve: PurePosixPath = FOLDER / ".reserve"
    running: PurePosixPath = FOLDER / ".running"
    last: PurePosixPath = LAST
    etcdctl: PurePosixPath = LOCAL_BIN / "etcdctl"
    etcdutl: PurePosixPath = LOCAL_BIN / "etcdutl"
    recipients: PurePosixPath = RECIPIENTS
    inventory: PurePosixPath = INVENTORY
    rclone: PurePosixPath = RCLONE
    retention: PurePosixPath = RETENTION
    spare: int = 128 * 2**20
    answer_seconds: int = 5
    hash_seconds: int = 120
    copy_seconds: int = 3600
    stale: int = 24 * 60


@dataclass(frozen=True, slots=True)
class _Nothing:
    """For a template that is the same everywhere."""


@dataclass(frozen=True, slots=True)
class _RcloneConfig:
    targets: Mapping[str, Mapping[str, str]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Timer:
    schedule: str


@dataclass(frozen=True, slots=True)
class _Service:
    options: Mapping[str, str]
    on_failure: tuple[str, ...] = ()
    delay: int = 0
    program: PurePosixPath = PROGRAM
    busy: int = BUSY
    seconds: int = RUN_SECONDS


def backup(site: Site) -> list[Step]:
    """What makes backups on an etcd host as the inventory says; where it says nothing, the timer goes.

    Healthy when `/opt/kbootstrap/libexec/etcd-backup run` prints an ID.
    """
    wanted = site.cluster.settings.backup
    if not site.host.is_etcd:
        return []
    if not wanted.on:
        return [UnitAbsent(TIMER), Absent(unit_path(TIMER)), Absent(RCLONE)]
    return [*_files(site, wanted), *_schedule(site, wanted)]


def _files(site: Site, wanted: Backup) -> list[Step]:
    return [
        Directory(CONFIG, 0o700),
        Directory(FOLDER, 0o700),
        File(RECIPIENTS, "".join(f"{key}\n" for key in wanted.recipients).encode(), 0o600),
        File(INVENTORY, site.cluster.inventory.encode(), 0o600),
        File(RCLONE, rclone_config(wanted, site.files), 0o600, secret=True) if wanted.targets else Absent(RCLONE),
        File(RETENTION, render("backup/retention.awk.j2", _Nothing())),
        File(PROGRAM, render("backup/etcd-backup.sh.j2", program(site, wanted)), 0o755),
    ]


def program(site: Site, wanted: Backup) -> Program:
    """What the program on the host must know."""
    cluster, keep = site.cluster, wanted.keep
    return Program(
        cluster=cluster.name,
        host=site.host.name,
        kubernetes=str(cluster.kubernetes),
        keep=tuple(f"{period}={count}" for period, count in keep),
        keys=tuple(str(path.relative_to("/")) for path in KEYS),
        metrics=shlex.quote(str(wanted.metrics)),
        upload=wanted.upload,
        bandwidth=wanted.bandwidth,
        members={member.name: client_url(member) for member in cluster.etcd_members},
        targets={name: shlex.quote(remote_path(name, target, cluster.name)) for name, target in wanted.targets.items()},
    )


def rclone_config(wanted: Backup, files: Mapping[Path, bytes]) -> bytes:
    """rclone's configuration file, with the secrets in it; `files` are the contents of theirs."""
    remotes = {name: _remote(target, files) for name, target in wanted.targets.items()}
    return render("backup/rclone.conf.j2", _RcloneConfig(remotes))


def remote_path(name: str, target: Target, cluster: str) -> str:
    """Where a cluster's backups lie at a target, as rclone names it."""
    return f"{name}:{target.path.rstrip('/')}/{cluster}"


def _remote(target: Target, files: Mapping[Path, bytes]) -> dict[str, str]:
    """The target as rclone's configuration has it: one line for each value, a key's line breaks as `\\n`."""
    secrets = {
        name: files[source.file].decode().strip().replace("\r", "").replace("\n", "\\n")
        for name, source in target.secrets.items()
    }
    return {"type": target.type, **_DEFAULTS.get(target.type, {}), **target.options, **secrets}


def _schedule(site: Site, wanted: Backup) -> list[Step]:
    if wanted.schedule is None:
        return [UnitAbsent(TIMER), Absent(unit_path(TIMER))]
    place = [member.name for member in site.cluster.etcd_members].index(site.host.name)
    writes = f"{FOLDER} {' '.join(f'-{path}' for path in _written_paths(wanted))}"
    # As root, for the keys; it reaches targets wherever they are, and writes nowhere but here.
    options = {**CONFINED, "CapabilityBoundingSet": "CAP_DAC_OVERRIDE", "ReadWritePaths": writes, "UMask": "0077"}
    service = _Service({**options, **LIMITS}, (FAILED, *wanted.on_failure), place * STAGGER_SECONDS)
    units = {
        TIMER: render("backup/etcd-backup.timer.j2", _Timer(wanted.schedule)),
        SERVICE: render("backup/etcd-backup.service.j2", service),
        FAILED: render("backup/etcd-backup-failed.service.j2", _Service(options)),
    }
    return [
        *(File(unit_path(name), content) for name, content in units.items()),
        Unit(TIMER, tuple(unit_path(name) for name in units)),
    ]


def _written_paths(wanted: Backup) -> list[str]:
    """Folders outside of FOLDER: of the metrics, and of targets on the host itself (a mounted disk)."""
    local = (target.path for target in wanted.targets.values() if target.type == "local")
    return sorted({str(wanted.metrics), *local})
