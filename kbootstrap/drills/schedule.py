"""Drills by themselves: a systemd timer on an operations host, or a CronJob of another Kubernetes."""

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import PurePath

from kbootstrap.errors import InvalidInput
from kbootstrap.model.cluster import Cluster, Host, Sudo
from kbootstrap.render.renderer import render
from kbootstrap.transport.ssh import connect
from kbootstrap.transport.timeouts import Timeouts
from kbootstrap.workflows.passwords import sudo_passwords
from kbootstrap.workflows.timers import Job, LocalSystemd, RemoteSystemd, Systemd, passed_on

_SERVICE = ("KillMode=mixed", "KillSignal=SIGINT", "TimeoutStopSec=15min")
"""Who stops it asks for what Ctrl-C does, and waits until everything is undone."""

_LOGIN = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<host>[^@:\s]+)(?::(?P<port>\d{1,5}))?")

INSTALLED_HINT = "kbootstrap, the inventory and the SSH keys that it names have to be there"


@dataclass(frozen=True, slots=True)
class Suite:
    """What is to run: the program, the inventory where the machine that drills has it, and further options."""

    cluster: str
    program: tuple[str, ...]
    inventory: PurePath
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> tuple[str, ...]:
        return (*self.program, "drill", "suite", "--inventory", str(self.inventory), *self.options)


@dataclass(frozen=True, slots=True)
class _CronJob:
    name: str
    cluster: str
    schedule: str
    image: str
    command: tuple[str, ...]
    folder: str
    state: str


def unit(cluster: str) -> str:
    """The units' name, without suffix."""
    return f"kbootstrap-drill-{cluster}"


def job(suite: Suite, calendar: str, on_failure: tuple[str, ...] = ()) -> Job:
    """The suite as a timer's job. One that was missed is not made up for: it would come in working hours."""
    return Job(
        unit=unit(suite.cluster),
        title=f"Failover drills of {suite.cluster}",
        calendar=calendar,
        command=suite.command,
        environment=suite.environment,
        service=_SERVICE,
        on_failure=on_failure,
    )


def cronjob(suite: Suite, schedule: str, image: str) -> str:
    """The suite as a CronJob, for a Kubernetes that is not the one which is hurt."""
    folder, state = "/etc/kbootstrap", "/var/lib/kbootstrap"
    there = replace(suite, program=("kbootstrap",), inventory=PurePath(folder, "inventory.yml"))
    context = _CronJob(unit(suite.cluster), suite.cluster, schedule, image, there.command, folder, state)
    return render("schedule/cronjob.yaml.j2", context).decode()


def here(cluster: str, inventory: PurePath, options: tuple[str, ...]) -> Suite:
    """A suite that this machine runs, as it runs this program now."""
    return Suite(cluster, (sys.executable, "-m", "kbootstrap.cli.main"), inventory, options, passed_on())


def suite_of(cluster: str, inventory: PurePath, options: tuple[str, ...], systemd: Systemd) -> Suite:
    """A suite that systemd's machine runs. Raises CommandFailed when a host could not: it reads the inventory once."""
    if not isinstance(systemd, RemoteSystemd):
        return here(cluster, inventory, options)
    connection = systemd.connection
    found = connection.run("command -v kbootstrap").require("there is no kbootstrap on the host", hint=INSTALLED_HINT)
    connection.run(shlex.join([found.text, "validate", "--inventory", str(inventory)])).require(
        "the inventory cannot be used on the host", hint=INSTALLED_HINT
    )
    return Suite(cluster, (found.text,), inventory, options, {"HOME": "/root", "USER": "root"})


@contextmanager
def operations_host(cluster: Cluster, login: str | None) -> Iterator[Systemd]:
    """The systemd of this machine, or of `[user@]host[:port]`, which is logged in to as the cluster's hosts are.

    Raises InvalidInput for a host of the cluster: a drill would hurt the machine that has to undo it.
    """
    if login is None:
        yield LocalSystemd()
        return
    connection = connect(
        host_of(cluster, login),
        timeouts=Timeouts(connect=cluster.settings.timeouts.connect_seconds),
        sudo_password=sudo_passwords(),
    )
    try:
        yield RemoteSystemd(connection)
    finally:
        connection.close()


def host_of(cluster: Cluster, login: str) -> Host:
    """How to log in to a host that is not in the inventory: as to its first one, but for what is said."""
    match = _LOGIN.fullmatch(login)
    if match is None:
        raise InvalidInput(f"--host: {login!r} is not [user@]host[:port]")
    name = match["host"]
    if name in {part for host in cluster.hosts for part in (host.name, str(host.address), host.ssh_address)}:
        raise InvalidInput(
            f"--host: {name} is a host of the cluster: a drill would hurt the machine that has to undo it",
            hint="take one that is not, such as the one where you work",
        )
    ssh = cluster.hosts[0].ssh
    user = match["user"] or ssh.user
    sudo = Sudo.NONE if user == "root" else Sudo.NOPASSWD if ssh.sudo is Sudo.NONE else ssh.sudo
    ssh = replace(ssh, user=user, port=int(match["port"] or ssh.port), sudo=sudo)
    return Host(name, IPv4Address(0), frozenset(), ssh, ssh_address=name)
