"""`kbootstrap artifacts`: fills the cache, shows what is in it, checks it."""

import json
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.artifacts.cache import Stored, default_cache
from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.artifacts.obtain import obtain
from kbootstrap.artifacts.source import Origin, SourceSettings
from kbootstrap.cli.console import watching
from kbootstrap.cli.options import Json
from kbootstrap.errors import ArtifactError, InvalidInput
from kbootstrap.events import Progress
from kbootstrap.model.versions import Version

artifacts_app = typer.Typer(name="artifacts", help="Binaries and images on this machine.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(artifacts_app)


@artifacts_app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Artifacts such as kubelet; without names everything usual.")
    ] = None,
    kubernetes: Annotated[
        str | None, typer.Option("--kubernetes", "-k", help="Version; without it the newest that was tried.")
    ] = None,
    source: Annotated[Origin, typer.Option(help="Where missing ones come from.")] = Origin.AUTO,
    mirror: Annotated[str | None, typer.Option(help="Base address of a mirror of the release files.")] = None,
    arch: Annotated[str, typer.Option(help="The hosts' processor: amd64 or arm64.")] = "amd64",
    as_json: Json = False,
) -> None:
    """Get artifacts into the cache, from releases or by building them."""
    console = Console()
    catalogue = load_catalogue()
    release = catalogue.release(_version(kubernetes) if kubernetes else catalogue.newest())
    wanted = release.refs(*(names or ()))
    settings = SourceSettings(origin=source, mirror=mirror, arch=arch)
    with watching(console, json_lines=as_json) as emit:
        found = obtain(wanted, settings, default_cache(), emit)
    if as_json:
        console.print_json(json.dumps([_row(artifact) for artifact in found.values()]))
    else:
        size = sum(artifact.size for artifact in found.values())
        left = f"; {len(wanted) - len(found)} images are pulled by the hosts" if len(found) < len(wanted) else ""
        console.print(
            f"Kubernetes {release.kubernetes}: {len(found)} artifacts, {size / 1e6:,.0f} MB in the cache{left}"
        )


@artifacts_app.command("list")
def list_(as_json: Json = False) -> None:
    """Show what is in the cache."""
    _show(default_cache().contents(), as_json)


@artifacts_app.command()
def verify(as_json: Json = False) -> None:
    """Hash every file in the cache again, and drop the damaged ones."""
    with watching(Console(), json_lines=as_json) as emit:
        results = default_cache().verify(lambda artifact: emit(Progress(f"hashing {artifact.ref}", 0, artifact.size)))
    _show(results, as_json)
    damaged = [str(stored.artifact.ref) for stored in results if not stored.sound]
    if damaged:
        raise ArtifactError(
            f"damaged and dropped: {', '.join(damaged)}", hint="run `kbootstrap artifacts fetch` to get them anew"
        )


def _version(text: str) -> Version:
    try:
        return Version.parse(text)
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def _show(contents: Iterable[Stored], as_json: bool) -> None:
    ordered = sorted(contents, key=lambda stored: (stored.artifact.ref.name, stored.artifact.ref.version))
    console = Console()
    if as_json:
        console.print_json(
            json.dumps(
                [{**_row(stored.artifact), "made_from": stored.made_from, "sound": stored.sound} for stored in ordered]
            )
        )
        return
    table = Table("artifact", "version", Column("MB", justify="right"), "sha256", box=None)
    table.add_column("", no_wrap=True)
    for stored in ordered:
        artifact = stored.artifact
        size = f"{artifact.size / 1e6:,.1f}"
        origin = stored.made_from if stored.sound else "[red]damaged or missing"
        table.add_row(artifact.ref.name, artifact.ref.version, size, artifact.sha256[:12], origin)
    console.print(table)


def _row(artifact: Artifact) -> dict[str, object]:
    return {
        "name": artifact.ref.name,
        "version": artifact.ref.version,
        "kind": artifact.ref.kind,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "path": str(artifact.path),
        "reference": artifact.reference,
    }
