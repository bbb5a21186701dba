"""Where a drill takes place: a cluster, connected and locked, and what is known of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from kbootstrap.drills.chronicle import Chronicle
from kbootstrap.drills.guards import NotPossible
from kbootstrap.drills.power import Power
from kbootstrap.engine.lock import Owner, locked
from kbootstrap.errors import KbootstrapError, Unreachable
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.probes.recording import Recording
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.parallel import on_all
from kbootstrap.workflows.status import Status

R = TypeVar("R")

BOOT_SECONDS = 120.0
"""From power on until SSH answers; multiplied by the inventory's scale."""


@dataclass(slots=True)
class Ground:
    """A cluster under a drill. `status` is how it was when it was found steady."""

    cluster: Cluster
    connections: Mapping[str, Connection]
    owner: Owner
    chronicle: Chronicle
    power: Power | None
    status: Status
    locks: ExitStack
    """Holds the lock of every host."""
    identity: Path | None = None
    """The private key of backups."""
    dark: frozenset[str] = frozenset()
    """Hosts that cannot be asked now: their power is cut."""
    hurt: tuple[str, ...] = ()
    """To whom something is done."""
    holders: frozenset[str] = frozenset()
    """Who has the VIP now, as far as the hosts tell; kept by the lookout."""
    kept_until: float | None = None
    """What was acknowledged later (CLOCK_MONOTONIC) may be lost, as with a restore; None: nothing may."""
    recording: Recording = field(default_factory=lambda: Recording(()))

    @property
    def scale(self) -> float:
        """The factor for all deadlines."""
        return self.cluster.settings.timeouts.scale

    @property
    def holder(self) -> Host:
        """Who holds the VIP. Raises NotPossible where there is none."""
        if not self.status.vip_holders:
            raise NotPossible("there is no virtual IP on these hosts")
        return self.cluster.host(self.status.vip_holders[0])

    @property
    def etcd_leader(self) -> Host:
        """Whose etcd member leads. Raises NotPossible when none says so."""
        for name, member in self.status.members.items():
            if member is not None and member.member == member.leader:
                return self.cluster.host(name)
        raise NotPossible("no etcd member says that it leads")

    def leader_of(self, unit: str) -> Host:
        """Where the leading one of a control-plane daemon runs. Raises NotPossible."""
        for part in self.status.parts:
            if part.unit == unit and part.leads:
                return self.cluster.host(part.host)
        raise NotPossible(f"nobody knows which {unit.removesuffix('.service')} leads")

    def lit(self, hosts: Iterable[Host]) -> dict[str, Connection]:
        """The connections to those of the hosts that have power."""
        return {host.name: self.connections[host.name] for host in hosts if host.name not in self.dark}

    def on(self, hosts: Sequence[str], work: Callable[[str, Connection], R]) -> dict[str, R]:
        """The same on several hosts side by side."""
        return on_all({name: self.connections[name] for name in hosts}, work)

    def api(self, *, without: str = "") -> Connection:
        """A control-plane host to ask the API from; another than `without` where there is one."""
        names = list(self.lit(self.cluster.control_planes))
        if not names:
            raise Unreachable("no control-plane host has power")
        return self.connections[next((name for name in names if name != without), names[0])]

    def back(self, hosts: Iterable[str]) -> None:
        """These hosts have booted: connects to them and locks them again. Raises what is in the way."""

        def again(name: str, connection: Connection) -> None:
            connection.reconnect(timeout=BOOT_SECONDS * self.scale)

        names = tuple(hosts)
        self.on(names, again)
        self.dark -= frozenset(names)
        self.locks.enter_context(locked({name: self.connections[name] for name in names}, self.owner))

    @contextmanager
    def unlocked(self) -> Iterator[None]:
        """While open, another run of this process has the hosts' locks."""
        self.locks.close()
        try:
            yield
        finally:
            self.locks.enter_context(locked(self.connections, self.owner))

    def ask(self, connection: Connection, command: str, seconds: float = 10.0) -> str | None:
        """What a command prints; None when it fails or nobody answers."""
        try:
            result = connection.run(command, timeout=seconds)
        except KbootstrapError:
            return None
        return result.text if result.ok else None
