"""What a lab is: a name, a subnet and its hosts. Read from a YAML file or made from counts."""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kbootstrap.errors import InvalidInput, Problem
from kbootstrap.model.cluster import Role

RANGE = IPv4Network("198.18.0.0/15")
"""RFC 2544's range for tests: collides with nobody's LAN."""

DEFAULT_SUBNET = IPv4Network("198.18.0.0/24")
CONTROL_MACHINE = 1
"""Offset in the subnet of this machine's own address."""
VIP = 100
"""Offset in the subnet kept free for the API's virtual address."""

Login = Literal["root", "admin", "deploy"]
"""Who may log in by key: `root`; `admin`, who has sudo without a password; `deploy`, whose password is the same."""

# Interface names have 15 characters: a port is called like its host, the uplink "kbl-" and the lab.
LabName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,10}$")]
HostName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,14}$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Options(_Frozen):
    """What holds for every host that says nothing else."""

    login: Login = "root"
    ssh_port: Port = 22


class Hardware(_Frozen):
    """What a virtual machine has; `memory` in MiB. 512 are enough for a load balancer, not for Kubernetes."""

    memory: Annotated[int, Field(ge=256)] = 512
    cpus: Annotated[int, Field(ge=1)] = 1


class HostSpec(_Frozen):
    """One host: a container, or with `vm` a virtual machine with a kernel of its own.

    `jump` names the only other host from which its sshd can be reached.
    """

    address: IPv4Address
    roles: tuple[Role, ...] = ()
    login: Login | None = None
    ssh_port: Port | None = None
    jump: HostName | None = None
    vm: Hardware | None = None


class LabSpec(_Frozen):
    """A lab. Its name makes the names of everything it puts on this machine."""

    name: LabName = "lab"
    subnet: IPv4Network = DEFAULT_SUBNET
    options: Options = Options()
    hosts: dict[HostName, HostSpec]

    @property
    def control_machine(self) -> IPv4Address:
        """This machine's address in the lab."""
        return self.subnet[CONTROL_MACHINE]

    @property
    def vip(self) -> IPv4Address:
        """The address kept free for the API."""
        return self.subnet[VIP]

    def login(self, host: str) -> Login:
        """The user who may log in to `host`."""
        return self.hosts[host].login or self.options.login

    def ssh_port(self, host: str) -> int:
        """The port of `host`'s sshd."""
        return self.hosts[host].ssh_port or self.options.ssh_port

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.subnet.subnet_of(RANGE) or self.subnet.num_addresses <= VIP:
            raise ValueError(f"subnet {self.subnet} must lie in {RANGE} and have more than {VIP} addresses")
        if not self.hosts:
            raise ValueError("a lab needs a host")
        reserved = {
            self.subnet.network_address: "the network",
            self.subnet.broadcast_address: "broadcast",
            self.control_machine: "this machine",
            self.vip: "the VIP",
        }
        seen = Counter(host.address for host in self.hosts.values())
        for name, host in self.hosts.items():
            if host.address not in self.subnet:
                raise ValueError(f"{name}: {host.address} is not in {self.subnet}")
            if host.address in reserved:
                raise ValueError(f"{name}: {host.address} is kept for {reserved[host.address]}")
            if seen[host.address] > 1:
                raise ValueError(f"{name}: {host.address} is used twice")
            if host.jump is not None and (host.jump == name or host.jump not in self.hosts):
                raise ValueError(f"{name}: jump host {host.jump} is not another host of this lab")
        return self


def read(path: Path) -> LabSpec:
    """The lab described by a YAML file; `InvalidInput` with every problem found."""
    try:
        return LabSpec.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        raise InvalidInput(f"{path} does not describe a lab", _problems(error, str(path))) from error


def standard(
    *,
    name: str = "lab",
    subnet: IPv4Network = DEFAULT_SUBNET,
    options: Options | None = None,
    control_planes: int = 3,
    workers: int = 2,
    etcd: int = 0,
    load_balancers: int = 0,
    bare: int = 0,
    vm: Collection[str] = (),
) -> LabSpec:
    """So many hosts of each kind at the usual addresses: cp1 at .11, w1 .21, etcd1 .81, lb1 .91, bare1 .101.

    `bare` hosts have no role, and so are not in an inventory. Those whose name or role is in `vm` are virtual machines.
    `InvalidInput` when there is no room for so many, or when `vm` names nobody.
    """
    kinds = (
        _Kind("cp", Role.CONTROL_PLANE, first=11, last=20, count=control_planes),
        _Kind("w", Role.WORKER, first=21, last=80, count=workers),
        _Kind("etcd", Role.ETCD, first=81, last=90, count=etcd),
        _Kind("lb", Role.LOAD_BALANCER, first=91, last=99, count=load_balancers),
        _Kind("bare", None, first=VIP + 1, last=subnet.num_addresses - 2, count=bare),
    )
    hosts = dict(_hosts(kinds, subnet))
    unknown = sorted(set(vm) - {*hosts, *(role for host in hosts.values() for role in host.roles)})
    if unknown:
        raise InvalidInput(f"{', '.join(unknown)}: no host of this lab has this name or role", hint=", ".join(hosts))
    hosts = {
        host: one.model_copy(update={"vm": Hardware()}) if not {host, *one.roles}.isdisjoint(vm) else one
        for host, one in hosts.items()
    }
    try:
        return LabSpec(name=name, subnet=subnet, options=options or Options(), hosts=hosts)
    except ValidationError as error:
        raise InvalidInput("such a lab cannot be made", _problems(error)) from error


@dataclass(frozen=True, slots=True)
class _Kind:
    prefix: str
    role: Role | None
    first: int
    last: int
    count: int


def _hosts(kinds: Iterable[_Kind], subnet: IPv4Network) -> Iterable[tuple[str, HostSpec]]:
    for kind in kinds:
        room = max(0, kind.last - kind.first + 1)
        if not 0 <= kind.count <= room:
            raise InvalidInput(
                f"{kind.count} hosts {kind.prefix}1…: there is room for {room}",
                hint="describe the lab in a file, with addresses of your own",
            )
        for number in range(1, kind.count + 1):
            roles = (kind.role,) if kind.role else ()
            yield f"{kind.prefix}{number}", HostSpec(address=subnet[kind.first + number - 1], roles=roles)


def _problems(error: ValidationError, file: str | None = None) -> list[Problem]:
    return [
        Problem(re.sub(r"^: ", "", f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"), file=file)
        for detail in error.errors()
    ]
