"""What kbootstrap asks hosts to make a plan: recorded, so that others can send the same, and answered again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from kbootstrap.events import ignore
from kbootstrap.model.cluster import Cluster
from kbootstrap.transport.connection import COMMAND_TIMEOUT, Connection, Result
from kbootstrap.workflows.playbooks import builtin
from kbootstrap.workflows.preflight import preflight_facts
from kbootstrap.workflows.survey import Survey, first_look, make_survey


@dataclass(frozen=True, slots=True)
class Exchange:
    """A script that a host was sent, and what it answered."""

    script: str
    result: Result


Exchanges = Mapping[str, Sequence[Exchange]]
"""What was said to each host, in order."""


def survey(cluster: Cluster, connections: Mapping[str, Connection]) -> Survey:
    """What `up` does before it changes anything: both readings, and the plan."""
    wanted = {name: preflight_facts(cluster, cluster.host(name)) for name in connections}
    looks = first_look(cluster, connections, wanted)
    return make_survey(cluster, connections, looks, builtin("up"), Path(), ignore)


def record(cluster: Cluster, connections: Mapping[str, Connection]) -> Exchanges:
    """What is said to each host for a plan."""
    recorders = {name: _Recorder(connection) for name, connection in connections.items()}
    survey(cluster, {name: cast(Connection, recorder) for name, recorder in recorders.items()})
    return {name: recorder.exchanges for name, recorder in recorders.items()}


def scripts(exchanges: Exchanges) -> dict[str, str]:
    """All that each host was asked, as one script."""
    return {host: "\n".join(exchange.script for exchange in said) for host, said in exchanges.items()}


def replay(cluster: Cluster, exchanges: Exchanges) -> Survey:
    """The plan made again from recorded answers, in this process alone."""
    return survey(cluster, {name: cast(Connection, _Echo(name, iter(said))) for name, said in exchanges.items()})


@dataclass(frozen=True, slots=True)
class _Recorder:
    """As much of a Connection as reading needs."""

    connection: Connection
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.connection.name

    @property
    def scale(self) -> float:
        return self.connection.scale

    def run_script(
        self, script: str, *, timeout: float = COMMAND_TIMEOUT, on_line: Callable[[str], None] | None = None
    ) -> Result:
        result = self.connection.run_script(script, timeout=timeout, on_line=on_line).require()
        self.exchanges.append(Exchange(script, result))
        return result


@dataclass(frozen=True, slots=True)
class _Echo:
    """Gives the recorded answers, in order."""

    name: str
    exchanges: Iterator[Exchange]
    scale: float = 1.0

    def run_script(
        self, script: str, *, timeout: float = COMMAND_TIMEOUT, on_line: Callable[[str], None] | None = None
    ) -> Result:
        was = next(self.exchanges)
        answer = was.result.stdout.replace(_boundary(was.script), _boundary(script))
        return Result(self.name, "", 0, answer, b"", seconds=0)


def _boundary(script: str) -> bytes:
    """What divides the answers of a batch, new each time: the last word of its script."""
    return script.rsplit(maxsplit=1)[-1].encode()
