"""`lab`: test hosts on this machine."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from kbootstrap.cli import options
from kbootstrap.cli.console import watching

if TYPE_CHECKING:
    from kbootstrap.lab.lab import HostStatus

Name = Annotated[str, typer.Option("--name", help="Which lab; several can run side by side.")]
Host = Annotated[str, typer.Argument(help="The host's name.")]
DEFAULT_NAME = "lab"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    lab = typer.Typer(name="lab", help="Test hosts on this machine.", no_args_is_help=True)
    lab.command()(up)
    lab.command()(down)
    lab.command()(status)
    lab.command("power-off")(power_off)
    lab.command("power-on")(power_on)
    app.add_typer(lab)


def up(
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="The lab's description; counts do not matter then.")
    ] = None,
    name: Name = DEFAULT_NAME,
    subnet: Annotated[
        IPv4Network | None,
        typer.Option(parser=IPv4Network, metavar="NETWORK", help="In 198.18.0.0/15; default: its first /24."),
    ] = None,
    control_planes: Annotated[int, typer.Option(min=0)] = 3,
    workers: Annotated[int, typer.Option(min=0)] = 2,
    etcd: Annotated[int, typer.Option(min=0, help="Hosts for etcd alone.")] = 0,
    load_balancers: Annotated[int, typer.Option(min=0, help="Hosts that hold the virtual IP in front.")] = 0,
    bare: Annotated[int, typer.Option(min=0, help="Hosts without a role; they are in no inventory.")] = 0,
    vm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST|ROLE", help="Virtual machines, with a kernel of their own; can be said again for more."
        ),
    ] = None,
    inventory: Annotated[Path | None, typer.Option(help="Write an inventory of the hosts to this file.")] = None,
) -> None:
    """Makes the lab's hosts, or boots those that are off, and waits until all can be logged in to."""
    from kbootstrap.lab import inventory as inventories  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.lab import spec as specs  # noqa: PLC0415
    from kbootstrap.lab.lab import Lab  # noqa: PLC0415

    console = Console()
    spec = (
        specs.read(file)
        if file
        else specs.standard(
            name=name,
            subnet=subnet or specs.DEFAULT_SUBNET,
            control_planes=control_planes,
            workers=workers,
            etcd=etcd,
            load_balancers=load_balancers,
            bare=bare,
            vm=vm or (),
        )
    )
    if inventory:
        inventories.inventory(spec)  # whether there is one is said before anything is made
    with watching(console) as emit:
        lab = Lab.up(spec, emit)
    if inventory:
        options.write(inventory, inventories.inventory(spec, emulated=lab.emulates()))
    first = next(iter(spec.hosts))
    console.print(f"{len(spec.hosts)} hosts answer: ssh -F {lab.ssh_config} {first}", highlight=False, soft_wrap=True)


def down(name: Name = DEFAULT_NAME) -> None:
    """Takes the lab away, with everything that is in it; also what a run that was killed has left of it."""
    from kbootstrap.lab.lab import Lab  # noqa: PLC0415

    with watching(Console()) as emit:
        Lab(name).down(emit)


def status(name: Name = DEFAULT_NAME, json_: options.Json = False) -> None:
    """Shows which hosts there are, which are on, and which answer."""
    from kbootstrap.lab.lab import Lab  # noqa: PLC0415

    hosts = Lab(name).status()
    if json_:
        typer.echo(json.dumps([asdict(host) for host in hosts]))
    else:
        Console().print(_table(hosts))


def power_off(host: Host, name: Name = DEFAULT_NAME) -> None:
    """Cuts a host's power, without a warning to it."""
    from kbootstrap.lab.lab import Lab  # noqa: PLC0415

    Lab(name).power_off(host)


def power_on(host: Host, name: Name = DEFAULT_NAME) -> None:
    """Boots a host, and waits until it can be logged in to."""
    from kbootstrap.lab.lab import Lab  # noqa: PLC0415

    lab = Lab(name)
    lab.power_on(host)
    lab.wait_ssh([host])


def _table(hosts: Sequence["HostStatus"]) -> Table:
    table = Table("host", "address", "roles", "kind", "power", "ssh")
    for host in hosts:
        table.add_row(
            host.name,
            host.address,
            ", ".join(host.roles),
            "virtual machine" if host.vm else "container",
            "[green]on[/]" if host.on else "[red]off[/]",
            "[green]answers[/]" if host.ssh else "[red]silent[/]",
        )
    return table
