"""`init`, `validate`, `schema` and `inventory import`: everything about an inventory that needs no host."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.cli import options
from kbootstrap.errors import InvalidInput
from kbootstrap.events import Event, Note
from kbootstrap.model.topologies import TOPOLOGIES, Topology, Wishes, inventory_text

if TYPE_CHECKING:
    from kbootstrap.model.cluster import Cluster

FILE_MODE = 0o644
_EXAMPLE = Wishes()

Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the file if it exists.")]
Kubernetes = Annotated[str | None, typer.Option("--kubernetes", "-k", help="Version; without it the newest.")]
Addresses = list[str] | None


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(init)
    app.command()(validate)
    app.command()(schema)
    inventory_app = typer.Typer(name="inventory", help="Inventories of other tools.", no_args_is_help=True)
    inventory_app.callback()(_inventory)
    inventory_app.command("import")(import_)
    app.add_typer(inventory_app)


def init(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    topology: Annotated[str, typer.Option("--topology", "-t", help=", ".join(TOPOLOGIES))] = "ha-workers",
    name: Annotated[str, typer.Option(help="The cluster's name.")] = _EXAMPLE.name,
    kubernetes: Kubernetes = None,
    vip: Annotated[str, typer.Option(help="The virtual IP.")] = _EXAMPLE.vip,
    load_balancer: Annotated[
        str, typer.Option(help="Name or address of one that exists already.")
    ] = _EXAMPLE.load_balancer,
    user: Annotated[str, typer.Option(help="Who logs in to the hosts.")] = _EXAMPLE.user,
    identity_file: Annotated[str | None, typer.Option(help="The private key to log in with.")] = None,
    control_plane: Annotated[Addresses, typer.Option(help="A host's address; again for each host.")] = None,
    worker: Annotated[Addresses, typer.Option(help="A host's address; again for each host.")] = None,
    etcd: Annotated[Addresses, typer.Option(help="A host's address; again for each host.")] = None,
    director: Annotated[Addresses, typer.Option(help="A load-balancer host's address; again for each.")] = None,
    force: Force = False,
) -> None:
    """Write a commented inventory to start from."""
    text = inventory_text(
        _topology(topology),
        Wishes(
            name=name,
            kubernetes=kubernetes or str(load_catalogue().newest()),
            vip=vip,
            load_balancer=load_balancer,
            user=user,
            identity_file=identity_file,
            control_planes=control_plane or (),
            workers=worker or (),
            etcd=etcd or (),
            load_balancers=director or (),
        ),
    )
    cluster = _read_text(text, inventory)
    _write(inventory, text, force=force)
    console = Console()
    console.print(f"{escape(str(inventory))}: {_summary(cluster)}", highlight=False, soft_wrap=True)
    console.print("next: put your hosts' addresses into it, then kbootstrap validate", highlight=False)


def validate(
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    local: Annotated[
        bool,
        typer.Option(help="Also look whether keys, files and variables that it names are on this machine."),
    ] = True,
    json_: options.Json = False,
) -> None:
    """Check an inventory without touching a host. Exit code 3 when something is wrong."""
    from kbootstrap.model.load import load_inventory  # noqa: PLC0415 - heavy; not for --help

    warnings: list[str] = []
    console = Console(stderr=True)

    def take(event: Event) -> None:
        if isinstance(event, Note):
            warnings.append(event.text)
            if not json_:
                console.print(f"[yellow]warning:[/] {escape(event.text)}", highlight=False, soft_wrap=True)

    cluster = load_inventory(inventory, known=tuple(load_catalogue().releases), local=local, emit=take)
    if json_:
        typer.echo(json.dumps({"valid": True, "warnings": warnings, **_as_value(cluster)}))
    else:
        Console().print(f"{escape(str(inventory))} is valid: {_summary(cluster)}", highlight=False, soft_wrap=True)


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="Tables for people instead.")] = False,
) -> None:
    """Print the JSON Schema of inventories, for editors."""
    from kbootstrap.model.reference import reference  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.model.schema import inventory_schema  # noqa: PLC0415

    typer.echo(reference() if markdown else json.dumps(inventory_schema(), indent=2), nl=not markdown)


def _inventory() -> None:
    """Inventories of other tools."""


def import_(
    file: Annotated[Path, typer.Argument(help="An Ansible inventory, INI or YAML.")],
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    name: Annotated[str, typer.Option(help="The cluster's name.")] = _EXAMPLE.name,
    kubernetes: Kubernetes = None,
    force: Force = False,
    json_: options.Json = False,
) -> None:
    """Write an inventory with the hosts of an Ansible inventory (kubespray's groups and others)."""
    from kbootstrap.model.ansible.read import import_ansible  # noqa: PLC0415 - heavy; not for --help

    version = kubernetes or str(load_catalogue().newest())
    imported = import_ansible(file, name=name, kubernetes=version)
    _write(inventory, imported.text, force=force)
    if json_:
        typer.echo(json.dumps({"inventory": str(inventory), "notes": imported.notes}))
        return
    console = Console()
    for note in imported.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)
    console.print(
        f"{escape(str(inventory))} is written; next: kbootstrap validate -i {escape(str(inventory))}",
        highlight=False,
        soft_wrap=True,
    )


def _topology(name: str) -> Topology:
    from kbootstrap.model.mistakes import did_you_mean  # noqa: PLC0415 - heavy; not for --help

    if name in TOPOLOGIES:
        return TOPOLOGIES[name]
    better = did_you_mean(name, TOPOLOGIES)
    hint = f"did you mean {better!r}?" if better else f"there are: {', '.join(TOPOLOGIES)}"
    raise InvalidInput(f"there is no topology {name!r}", hint=hint)


def _read_text(text: str, path: Path) -> "Cluster":
    """The cluster of an inventory that is not yet written; raises InvalidInput."""
    from kbootstrap.events import ignore  # noqa: PLC0415
    from kbootstrap.model.document import parse_document  # noqa: PLC0415
    from kbootstrap.model.load import interpret  # noqa: PLC0415 - heavy; not for --help

    known = tuple(load_catalogue().releases)
    return interpret(parse_document(text, path), environ=os.environ, known=known, local=False, emit=ignore)


def _write(path: Path, text: str, *, force: bool) -> None:
    """Writes a new file, or with `force` in place of what is there; raises InvalidInput."""
    target = path.with_name(f".{path.name}.new") if force else path
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with os.fdopen(os.open(target, flags, FILE_MODE), "w", encoding="utf-8") as file:
            file.write(text)
        target.replace(path)
    except FileExistsError:
        raise InvalidInput(f"{path} exists already", hint="another name with -i, or --force to replace it") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from None


def _summary(cluster: "Cluster") -> str:
    endpoint = cluster.settings.endpoint
    workers = sum(host.is_worker for host in cluster.hosts)
    return (
        f"cluster {cluster.name}, Kubernetes {cluster.kubernetes}, {len(cluster.hosts)} hosts "
        f"(control plane {len(cluster.control_planes)}, etcd {len(cluster.etcd_members)}, workers {workers}), "
        f"endpoint {endpoint.mode} {cluster.endpoint_host}:{endpoint.port}"
    )


def _as_value(cluster: "Cluster") -> dict[str, object]:
    return {
        "cluster": cluster.name,
        "kubernetes": str(cluster.kubernetes),
        "endpoint": {"mode": cluster.settings.endpoint.mode, "host": cluster.endpoint_host},
        "hosts": [
            {"name": host.name, "address": str(host.address), "roles": sorted(host.roles)} for host in cluster.hosts
        ],
    }
