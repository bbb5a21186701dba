"""From what the user wrote to what it means: groups merged into hosts, defaults filled in, paths made absolute.

The order is the same for everything: the top level, the group `all`, the other groups as they stand in the file,
the host itself. Of single values the last one counts; labels and variables are merged key by key; roles and
taints add up (a taint with the same key and effect is replaced).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kbootstrap.model.applications import Application
from kbootstrap.model.backup import Target
from kbootstrap.model.cluster import (
    Cluster,
    Host,
    PasswordKind,
    PasswordSource,
    Role,
    Ssh,
    Sudo,
    Taint,
)
from kbootstrap.model.inventory import HostDefaults, HostEntry, Inventory, PasswordEntry, SshEntry
from kbootstrap.model.settings import Settings, Tuning

ALL = "all"
"""The group that every host is in."""

_SSH = Ssh()
_WILDCARDS = frozenset("*?[")


class JumpLoop(Exception):
    """A host that is reached through itself."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an inventory's paths are relative to."""

    directory: Path
    """Where the inventory is."""
    home: Path
    """What `~` stands for."""

    def path(self, written: Path) -> Path:
        """`written` with `~` replaced, and relative to the inventory."""
        parts = written.parts
        if parts and parts[0] == "~":
            return self.home.joinpath(*parts[1:])
        return self.directory / written


def resolve(inventory: Inventory, around: Surroundings) -> Cluster:
    """The cluster that a well-formed inventory means; whether it makes sense is for `consistency` to say.

    Jump hosts are still as written: see `route_jumps`.
    """
    groups = _memberships(inventory)
    hosts = [_host(name, entry, groups[name], inventory.ssh, around) for name, entry in inventory.hosts.items()]
    if not any(host.is_etcd for host in hosts):
        hosts = [replace(host, roles=host.roles | {Role.ETCD}) if host.is_control_plane else host for host in hosts]
    return Cluster(
        name=inventory.cluster.name,
        kubernetes=inventory.cluster.kubernetes,
        hosts=tuple(hosts),
        settings=_settings(inventory, around),
    )


def route_jumps(cluster: Cluster) -> Cluster:
    """The cluster with every jump through a host of its own written out; raises JumpLoop."""
    by_name = {host.name: host for host in cluster.hosts}
    hosts = (replace(host, ssh=replace(host.ssh, jump=jumps(host, by_name))) for host in cluster.hosts)
    return replace(cluster, hosts=tuple(hosts))


def jumps(host: Host, by_name: Mapping[str, Host], behind: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The way to a host as `[user@]host[:port]`, outermost first; raises JumpLoop.

    A host that stands in its own list is the way in for the others: it is reached by what is before it.
    """
    way: list[str] = []
    for hop in host.ssh.jump:
        if hop == host.name:
            break
        through = by_name.get(hop)
        if through is None:
            way.append(hop)
            continue
        if hop in behind:
            raise JumpLoop(hop)
        way += jumps(through, by_name, behind | {host.name})
        way.append(f"{through.ssh.user}@{through.ssh_address or through.address}:{through.ssh.port}")
    return tuple(dict.fromkeys(way))


def members(patterns: Iterable[str], names: Iterable[str]) -> set[str]:
    """Those of `names` that one of the patterns means."""
    exact = {pattern for pattern in patterns if not _WILDCARDS.intersection(pattern)}
    globs = [pattern for pattern in patterns if pattern not in exact]
    return {name for name in names if name in exact or any(fnmatchcase(name, glob) for glob in globs)}


def _memberships(inventory: Inventory) -> dict[str, list[HostDefaults]]:
    """Each host's groups, the most general first."""
    groups: dict[str, list[HostDefaults]] = {
        name: [inventory.groups[ALL]] if ALL in inventory.groups else [] for name in inventory.hosts
    }
    for group_name, group in inventory.groups.items():
        if group_name != ALL:
            for name in members(group.hosts, inventory.hosts):
                groups[name].append(group)
    return groups


def _host(
    name: str, entry: HostEntry, groups: Iterable[HostDefaults], everywhere: SshEntry, around: Surroundings
) -> Host:
    layers = [*groups, entry]
    return Host(
        name=name,
        address=entry.address,
        roles=frozenset(role for layer in layers for role in layer.roles),
        ssh=_ssh([everywhere, *(layer.ssh for layer in layers)], around),
        ssh_address=entry.ssh_address,
        labels={key: value for layer in layers for key, value in layer.labels.items()},
        taints=_taints(taint for layer in layers for taint in layer.taints),
        variables={key: value for layer in layers for key, value in layer.vars.items()},
    )


def _taints(taints: Iterable[Taint]) -> tuple[Taint, ...]:
    return tuple({(taint.key, taint.effect): taint for taint in taints}.values())


def _ssh(layers: Iterable[SshEntry], around: Surroundings) -> Ssh:
    said: dict[str, Any] = {}
    for layer in layers:
        said |= {key: value for key, value in layer if value is not None}
        if layer.sudo_password is not None and layer.sudo is None:
            said["sudo"] = Sudo.PASSWORD
    for key in ("identity_file", "config_file", "known_hosts"):
        if key in said:
            said[key] = around.path(said[key])
    default = Sudo.NONE if said.get("user", _SSH.user) == "root" else Sudo.NOPASSWD
    sudo = said.setdefault("sudo", default)
    source = said.pop("sudo_password", PasswordEntry())
    return Ssh(**said, sudo_password=_password(source, around) if sudo is Sudo.PASSWORD else None)


def _password(source: PasswordEntry, around: Surroundings) -> PasswordSource:
    if source.asked_for:
        return PasswordSource()
    if source.file is not None:
        return PasswordSource(PasswordKind.FILE, str(around.path(source.file)))
    return PasswordSource(PasswordKind.ENVIRONMENT, source.env or "")


def _settings(inventory: Inventory, around: Surroundings) -> Settings:
    sections = {name: getattr(inventory, name) for name in Tuning.model_fields}
    registries = {
        name: registry.model_copy(
            update={
                key: around.path(path)
                for key in ("ca_file", "password_file")
                if (path := getattr(registry, key)) is not None
            }
        )
        for name, registry in inventory.containerd.registries.items()
    }
    sections["containerd"] = inventory.containerd.model_copy(update={"registries": registries})
    sections["backup"] = inventory.backup.model_copy(
        update={"targets": {name: _target(target, around) for name, target in inventory.backup.targets.items()}}
    )
    sections["applications"] = {name: _application(one, around) for name, one in inventory.applications.items()}
    return Settings.model_construct(endpoint=inventory.cluster.endpoint, **sections)


def _target(target: Target, around: Surroundings) -> Target:
    secrets = {
        name: source.model_copy(update={"file": around.path(source.file)}) for name, source in target.secrets.items()
    }
    return target.model_copy(update={"secrets": secrets})


def _application(application: Application, around: Surroundings) -> Application:
    paths = {"certificate": application.certificate, "key": application.key}
    return application.model_copy(update={name: around.path(path) for name, path in paths.items() if path is not None})
