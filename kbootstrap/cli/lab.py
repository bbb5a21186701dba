"""`kbootstrap lab`: test hosts on this machine."""

import dataclasses
import json
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kbootstrap.events import Event, Note, Sink
from kbootstrap.lab import spec as specs
from kbootstrap.lab.inventory import inventory
from kbootstrap.lab.lab import HostStatus, Lab

lab_app = typer.Typer(name="lab", help="Test hosts on this machine.", no_args_is_help=True)

Name = Annotated[str, typer.Option("--name", help="Which lab; several can run side by side.")]


@lab_app.command()
def up(
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Description of the lab; instead of counts.")
    ] = None,
    name: Name = "lab",
    subnet: Annotated[str, typer.Option(help="Inside 198.18.0.0/15.")] = str(specs.DEFAULT_SUBNET),
    control_planes: Annotated[int, typer.Option(min=0)] = 3,
    workers: Annotated[int, typer.Option(min=0)] = 2,
    etcd: Annotated[int, typer.Option(min=0, help="Hosts for etcd alone.")] = 0,
    bare: Annotated[int, typer.Option(min=0, help="Hosts without a role.")] = 0,
    inventory_file: Annotated[
        Path | None, typer.Option("--inventory", help="Write an inventory of the hosts there.")
    ] = None,
) -> None:
    """Make the lab's hosts, or boot what is off of them."""
    console = Console()
    spec = (
        specs.read(file)
        if file
        else specs.standard(
            name=name,
            subnet=IPv4Network(subnet),
            control_planes=control_planes,
            workers=workers,
            etcd=etcd,
            bare=bare,
        )
    )
    text = inventory(spec) if inventory_file else ""
    lab = Lab.up(spec, _printer(console))
    if inventory_file:
        inventory_file.write_text(text)
    console.print(f"{len(spec.hosts)} hosts answer. Log in: [bold]ssh -F {lab.ssh_config} {next(iter(spec.hosts))}")


@lab_app.command()
def down(name: Name = "lab") -> None:
    """Take the lab away, with everything that is in it."""
    Lab(name).down(_printer(Console()))


@lab_app.command()
def status(name: Name = "lab", as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Which hosts there are, which are on, and which answer."""
    hosts = Lab(name).status()
    console = Console()
    if as_json:
        console.print_json(json.dumps([dataclasses.asdict(host) for host in hosts]))
    else:
        console.print(_table(hosts))


@lab_app.command("power-off")
def power_off(host: str, name: Name = "lab") -> None:
    """Cut a host's power, without a warning to it."""
    Lab(name).power_off(host)


@lab_app.command("power-on")
def power_on(host: str, name: Name = "lab") -> None:
    """Boot a host, and wait until it answers."""
    lab = Lab(name)
    lab.power_on(host)
    lab.wait_ssh([host])


def _table(hosts: list[HostStatus]) -> Table:
    table = Table("host", "address", "roles", "power", "ssh")
    for host in hosts:
        table.add_row(
            host.name,
            host.address,
            ", ".join(host.roles),
            "[green]on" if host.on else "[red]off",
            "[green]answers" if host.ssh else "[red]silent",
        )
    return table


def _printer(console: Console) -> Sink:
    def show(event: Event) -> None:
        if isinstance(event, Note):
            console.print(event.text)

    return show
