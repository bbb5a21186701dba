"""Where drills are tried: a steady cluster of hosts that know only what a test declares."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from kbootstrap.drills.chronicle import Chronicle
from kbootstrap.drills.drill import Drill, Fault, Rule
from kbootstrap.drills.ground import Ground
from kbootstrap.drills.measure import READS, unfelt
from kbootstrap.drills.power import Power
from kbootstrap.drills.story import Story
from kbootstrap.engine.lock import Owner
from kbootstrap.events import Event
from kbootstrap.model.cluster import Cluster
from kbootstrap.probes.recording import Observation, Recording
from kbootstrap.probes.samples import Failure, Samples, Track
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.status import Status
from tests.fakes import FakeConnection
from tests.golden.sites import TOPOLOGIES

VIP = TOPOLOGIES["vip"]
OWNER = Owner("me@here", "20261121-101500-abcd", "drill run test", "2026-11-21T10:15:00+00:00")

ARM = re.compile(r"set -eu\numask 077\nmkdir -p /var/lib/kbootstrap/drill\n.*systemd-run .*", re.DOTALL)
HEAL = re.compile(r"set -u\n\[ -e /var/lib/kbootstrap/drill/undo.sh \].*", re.DOTALL)


def status(cluster: Cluster = VIP) -> Status:
    """A steady cluster: cp1 leads everything, and it or lb1 holds the VIP."""
    members = {host.name: number + 1 for number, host in enumerate(cluster.etcd_members)}
    parts = [
        SimpleNamespace(host=host.name, unit=unit, leads=host.name == "cp1")
        for unit in ("kube-apiserver.service", "kube-controller-manager.service", "kube-scheduler.service")
        for host in cluster.control_planes
    ]
    found = SimpleNamespace(
        vip_holders=tuple(host.name for host in cluster.vip_hosts[:1]),
        members={name: SimpleNamespace(member=one, leader=1, version="3.6.6") for name, one in members.items()},
        parts=tuple(parts),
    )
    return cast(Status, found)


@dataclass
class Stage:
    """A ground, and the hosts under it."""

    cluster: Cluster = VIP
    power: Power | None = None
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hosts = {host.name: FakeConnection(host.name) for host in self.cluster.hosts}
        self.chronicle = Chronicle(self.events.append)
        connections: Mapping[str, Connection] = dict(self.hosts)
        self.ground = Ground(
            self.cluster, connections, OWNER, self.chronicle, self.power, status(self.cluster), ExitStack()
        )
        self.ground.holders = frozenset(self.ground.status.vip_holders)
        self.ground.recording = Recording(("api-new",))

    def arms(self, *hosts: str) -> None:
        """What every fault needs: these hosts can be armed and healed."""
        for name in hosts:
            self.hosts[name].expect(ARM)
            self.hosts[name].expect(HEAL)

    def did(self, host: str) -> list[str]:
        """What was done to a host, in short: armed, healed, or the command."""
        return [_short(command) for command in self.hosts[host].commands]

    def story(self, drill: Drill) -> Story:
        return Story(drill, self.cluster, OWNER, self.chronicle)


def _short(command: str) -> str:
    if ARM.fullmatch(command):
        return "armed"
    return "healed" if HEAL.fullmatch(command) else command.removeprefix("set -eu\n").strip()


def drill(prepare: Callable[[Ground], Fault], *rules: Rule, **said: Any) -> Drill:
    """A drill for a test."""
    return Drill("test", "A test", lambda _cluster: rules or (unfelt(*READS),), prepare, **said)


def track(name: str, good: Sequence[float], failed: Sequence[float] = (), seconds: float = 0.01) -> Track:
    """A probe whose requests began at these times."""
    made = Track(name)
    for serial, began in enumerate(sorted([*good, *failed])):
        made.highest = serial
        if began in failed:
            made.failures.append(Failure(serial, began, seconds, "refused", maybe=False))
        else:
            made.serials.append(serial)
            made.began.append(began)
            made.seconds.append(seconds)
    return made


def observation(*tracks: Track, ended: float = 10.0, **said: Any) -> Observation:
    """A run from 0 to `ended`."""
    return Observation(datetime.now(UTC), 0.0, ended, Samples(list(tracks)), **said)


def no_sleep(_seconds: float) -> None:
    """Time that a test does not have."""
    assert time
