"""Whether what an inventory names on this machine is there: keys, CA files, password files, variables."""

import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from kbootstrap.model.applications import Application
from kbootstrap.model.cluster import Cluster, HostKeys
from kbootstrap.model.document import Location
from kbootstrap.model.finding import Finding
from kbootstrap.model.inventory import Inventory, PasswordEntry, SshEntry
from kbootstrap.model.resolve import Surroundings
from kbootstrap.model.served_certificate import certificate_faults, is_due, key_faults

_OTHERS = 0o077


def local_findings(
    inventory: Inventory, cluster: Cluster, around: Surroundings, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """What is missing or unfit on this machine."""
    # With accept-new, the file of known hosts may still have to be made.
    needed = {host.ssh.known_hosts for host in cluster.hosts if host.ssh.host_keys is HostKeys.STRICT}
    for where, entry in _logins(inventory):
        yield from _login_files(where, entry, around)
        yield from _sudo_password(where, entry.sudo_password, around, environ)
        if entry.known_hosts is not None and around.path(entry.known_hosts) in needed:
            yield from _file((*where, "known_hosts"), around.path(entry.known_hosts))
    for name, registry in inventory.containerd.registries.items():
        place = ("containerd", "registries", name)
        if registry.ca_file is not None:
            yield from _file((*place, "ca_file"), around.path(registry.ca_file))
        if registry.password_file is not None:
            yield from _file((*place, "password_file"), around.path(registry.password_file), Privacy.REQUIRED)
    for name, target in inventory.backup.targets.items():
        for option, source in target.secrets.items():
            where = ("backup", "targets", name, "secrets", option, "file")
            yield from _file(where, around.path(source.file), Privacy.REQUIRED)
    for name, application in cluster.settings.applications.items():
        yield from _certificate(("applications", name), application, datetime.now(UTC))


def _certificate(place: tuple[str, ...], application: Application, now: datetime) -> Iterator[Finding]:
    """What is wrong with an application's certificate and key; their paths are absolute."""
    if application.certificate is None or application.key is None:
        return
    missing = [
        *_file((*place, "certificate"), application.certificate),
        *_file((*place, "key"), application.key, Privacy.REQUIRED),
    ]
    yield from missing
    if any("can be read by others" not in finding.message for finding in missing):
        return
    certificate, key = application.certificate.read_bytes(), application.key.read_bytes()
    for message, hint in certificate_faults(certificate, application.server_names, now):
        yield Finding((*place, "certificate"), f"{application.certificate}: {message}", hint)
    for message, hint in key_faults(key, certificate):
        yield Finding((*place, "key"), f"{application.key}: {message}", hint)
    left = is_due(certificate, now)
    if left is not None:
        message = f"{application.certificate} expires in {left} days"
        yield Finding((*place, "certificate"), message, "renew it, then run `kbootstrap up`", warning=True)


def _logins(inventory: Inventory) -> Iterator[tuple[tuple[str, ...], SshEntry]]:
    yield ("ssh",), inventory.ssh
    for name, group in inventory.groups.items():
        yield ("groups", name, "ssh"), group.ssh
    for name, host in inventory.hosts.items():
        yield ("hosts", name, "ssh"), host.ssh


def _login_files(where: tuple[str, ...], entry: SshEntry, around: Surroundings) -> Iterator[Finding]:
    if entry.config_file is not None:
        yield from _file((*where, "config_file"), around.path(entry.config_file))
    if entry.identity_file is None:
        return
    place = (*where, "identity_file")
    if entry.identity_file.suffix == ".pub":
        yield Finding(place, "this is the public key", f"name the private one: {entry.identity_file.stem}")
    else:
        yield from _file(place, around.path(entry.identity_file), Privacy.ADVISED)


def _sudo_password(
    where: tuple[str, ...], source: PasswordEntry | None, around: Surroundings, environ: Mapping[str, str]
) -> Iterator[Finding]:
    if source is None:
        return
    place = (*where, "sudo_password")
    if source.file is not None:
        yield from _file((*place, "file"), around.path(source.file), Privacy.REQUIRED)
    if source.env is not None and source.env not in environ:
        yield Finding((*place, "env"), f"the variable {source.env} is not set", f"export {source.env}=…")


class Privacy(Enum):
    """Whether only its owner may be able to read a file."""

    NO_MATTER = 0
    ADVISED = 1
    REQUIRED = 2


def _file(where: Location, path: Path, privacy: Privacy = Privacy.NO_MATTER) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        yield Finding(where, f"{path}: {reason}", "paths are relative to the inventory; ~ is your home folder")
        return
    if not stat.S_ISREG(mode):
        yield Finding(where, f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}")
    elif not os.access(path, os.R_OK):
        yield Finding(where, f"{path} cannot be read", f"look at its mode and owner: ls -l {path}")
    elif privacy is not Privacy.NO_MATTER and mode & _OTHERS:
        warning = privacy is Privacy.ADVISED
        yield Finding(where, f"{path} can be read by others", f"chmod 600 {path}", warning)
