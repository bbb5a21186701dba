"""A recovery runbook to be printed: what to do when the cluster is lost, with its own names and addresses."""

from dataclasses import dataclass
from pathlib import Path

import kbootstrap
from kbootstrap.components.backup import FOLDER
from kbootstrap.components.etcd import DATA, USER, peer_url
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki import paths
from kbootstrap.render.renderer import render
from kbootstrap.workflows.restore.steps import BUMP_REVISION
from kbootstrap.workflows.supplies import release_of


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    address: str
    roles: str
    ssh: str


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class _Target:
    name: str
    type: str
    path: str
    options: tuple[str, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Runbook:
    version: str
    cluster: str
    kubernetes: str
    etcd: str
    endpoint: str
    inventory: Path
    hosts: tuple[_Line, ...]
    members: tuple[_Member, ...]
    control_planes: tuple[str, ...]
    recipients: tuple[str, ...]
    schedule: str
    targets: tuple[_Target, ...]
    folder: str = str(FOLDER)
    data: str = str(DATA)
    user: str = USER
    keys: tuple[str, ...] = (str(paths.PKI), str(paths.ENCRYPTION_CONFIG))
    bump: int = BUMP_REVISION


def runbook(cluster: Cluster, inventory: Path) -> str:
    """Markdown. It holds no secret, only where each is kept."""
    backup = cluster.settings.backup
    endpoint = f"{cluster.endpoint_host}:{cluster.settings.endpoint.port}"
    return render(
        "restore/runbook.md.j2",
        _Runbook(
            version=kbootstrap.__version__,
            cluster=cluster.name,
            kubernetes=str(cluster.kubernetes),
            etcd=release_of(cluster).etcd,
            endpoint=endpoint,
            inventory=inventory,
            hosts=tuple(
                _Line(
                    host.name,
                    str(host.address),
                    ", ".join(sorted(host.roles)),
                    f"{host.ssh.user}@{host.ssh_address or host.address}"
                    + (f" port {host.ssh.port}" if host.ssh.port != 22 else ""),
                )
                for host in cluster.hosts
            ),
            members=tuple(_Member(host.name, peer_url(host)) for host in cluster.etcd_members),
            control_planes=tuple(host.name for host in cluster.control_planes),
            recipients=backup.recipients,
            schedule=backup.schedule or "",
            targets=tuple(
                _Target(
                    name,
                    target.type,
                    f"{target.path}/{cluster.name}",
                    tuple(f"{key} {value}" for key, value in sorted(target.options.items())),
                    tuple(f"{key} in {source.file}" for key, source in sorted(target.secrets.items())),
                )
                for name, target in backup.targets.items()
            ),
        ),
    ).decode()
