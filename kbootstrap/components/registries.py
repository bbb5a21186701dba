"""Image registries as containerd sees them: mirrors, authorities, credentials, a hosts.toml for each."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from kbootstrap.components.site import Site
from kbootstrap.model.settings import Registry
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import Directory, File
from kbootstrap.steps.step import Step

CERTS = PurePosixPath("/etc/containerd/certs.d")

_SERVERS = {"docker.io": "https://registry-1.docker.io"}
"""Registries that answer at another address than their name."""


@dataclass(frozen=True, slots=True)
class HostsToml:
    """One registry's hosts.toml; authority, credentials and `insecure` hold for all of its `hosts`."""

    server: str
    hosts: tuple[str, ...]
    authority: str | None
    insecure: bool
    authorization: str | None = field(repr=False)


def registries(site: Site) -> list[Step]:
    """What the inventory says of registries.

    Authority and credentials belong to the mirrors where there are any, else to the registry itself. Credentials
    are sent as HTTP basic authentication: registries that only take tokens need imagePullSecrets.
    """
    wanted = site.cluster.settings.containerd.registries
    steps: list[Step] = [Directory(CERTS)]
    for name, registry in wanted.items():
        steps += _registry(site, name, registry)
    return steps


def _registry(site: Site, name: str, registry: Registry) -> list[Step]:
    folder = CERTS / name
    server = _SERVERS.get(name, f"{'http' if registry.insecure else 'https'}://{name}")
    steps: list[Step] = [Directory(folder)]
    authority = None
    if registry.ca_file is not None:
        authority = folder / "ca.crt"
        steps.append(File(authority, site.files[registry.ca_file]))
    authorization = _authorization(registry, site.files)
    toml = HostsToml(
        server=server,
        hosts=registry.mirrors or (server,),
        authority=str(authority) if authority else None,
        insecure=registry.insecure,
        authorization=authorization,
    )
    secret = authorization is not None
    content = render("containerd/hosts.toml.j2", toml)
    return [*steps, File(folder / "hosts.toml", content, 0o600 if secret else 0o644, secret=secret)]


def _authorization(registry: Registry, files: Mapping[Path, bytes]) -> str | None:
    if registry.username is None or registry.password_file is None:
        return None
    password = files[registry.password_file].rstrip(b"\r\n")
    return "Basic " + base64.b64encode(registry.username.encode() + b":" + password).decode()
