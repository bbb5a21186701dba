"""Where guards are tried: hosts that know only what a test declares, and the scene of one of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kbootstrap.errors import CommandFailed
from kbootstrap.events import Event, Note
from kbootstrap.facts.fact import Fact, batch_script, grouped
from kbootstrap.model.cluster import Cluster
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.guards.scene import Scene
from tests.fakes import FakeConnection

RUN = "20261121-064233-ab12"
BROKEN = CommandFailed("could not restart it", host="cp1")
"""What goes wrong with the work that a guard surrounds."""


@dataclass
class Stage:
    """The hosts of a cluster, all of them connected or some."""

    cluster: Cluster
    names: Sequence[str] = ()
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hosts = {name: FakeConnection(name) for name in self.names or (host.name for host in self.cluster.hosts)}

    def scene(self, name: str) -> Scene:
        connections: Mapping[str, Connection] = dict(self.hosts)
        return Scene(self.cluster, self.cluster.host(name), connections, RUN, self.events.append)

    def expect(self, pattern: str, stdout: str = "", *, exit_code: int = 0, stderr: str = "", on: str = "") -> None:
        """Declares what matches a pattern, on one host or on all."""
        for name, host in self.hosts.items():
            if on in ("", name):
                host.expect(re.compile(pattern, re.DOTALL), stdout, exit_code=exit_code, stderr=stderr)

    @property
    def ran(self) -> dict[str, list[str]]:
        """The commands of each host that ran any."""
        return {name: host.commands for name, host in self.hosts.items() if host.ran}

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]


BOUNDARY = "0123456789abcdef"


def expect_facts(host: FakeConnection, answers: Mapping[Fact[Any], bytes]) -> None:
    """Declares a batch of facts (each of a class of its own), and what they print. See the fixture `boundary`."""
    groups = grouped(answers)
    output = b"".join(b"%s\x1e\n%s\n" % (answers[fact], BOUNDARY.encode()) for [fact] in groups)
    host.expect(batch_script(groups, BOUNDARY), output)
