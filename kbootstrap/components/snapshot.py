"""A snapshot of etcd, with the keys without which it is worth nothing, on the member's own host."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.components.binaries import LOCAL_BIN
from kbootstrap.components.etcd import DATA
from kbootstrap.components.site import Site
from kbootstrap.pki import paths
from kbootstrap.render.renderer import render
from kbootstrap.steps.command import Command
from kbootstrap.steps.step import Step

FOLDER = PurePosixPath("/var/lib/kbootstrap/snapshots")
KEPT = 3
FRESH_MINUTES = 60
"""A run that goes on within this time does not take another."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    name: str
    folder: PurePosixPath = FOLDER
    keys: PurePosixPath = paths.PKI
    encryption: PurePosixPath = paths.ENCRYPTION_CONFIG
    data: PurePosixPath = DATA
    commands: PurePosixPath = LOCAL_BIN
    kept: int = KEPT


def snapshot(site: Site) -> list[Step]:
    """A verified snapshot before a change of version; nothing on hosts without a member that runs.

    Each member's host takes its own, so that no single disk has the only one. Healthy when
    `sha256sum --check FILE.sha256` in the folder says ok.
    """
    if not site.host.is_etcd:
        return []
    name = f"before-{site.cluster.kubernetes}"
    return [
        Command(
            f"snapshot etcd and the cluster's keys to {FOLDER}",
            render("etcd/snapshot.sh.j2", _Snapshot(name)).decode(),
            unless=f"! systemctl is-active --quiet etcd ||"
            f" find {FOLDER} -name '{name}-*.sha256' -mmin -{FRESH_MINUTES} 2>/dev/null | grep -q .",
        )
    ]
