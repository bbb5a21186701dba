"""Where a guard stands: the host that is about to be worked on, and everybody else."""

from collections.abc import Mapping
from dataclasses import dataclass

from kbootstrap.components.packages import has_proxy
from kbootstrap.errors import CheckFailed
from kbootstrap.events import Note, Sink
from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.transport.connection import Connection


@dataclass(frozen=True, slots=True)
class Scene:
    """One host of a run, and the connections to all hosts of the run."""

    cluster: Cluster
    host: Host
    connections: Mapping[str, Connection]
    run: str
    emit: Sink

    @property
    def scale(self) -> float:
        """The factor for all deadlines."""
        return self.cluster.settings.timeouts.scale

    @property
    def own(self) -> Connection:
        """The connection to the host itself."""
        return self.connections[self.host.name]

    @property
    def api(self) -> Connection:
        """A control-plane host to ask the API from: another than the host itself where there is one."""
        names = [host.name for host in self.cluster.control_planes if host.name in self.connections]
        if not names:
            raise CheckFailed("no control-plane host is connected, so the API cannot be asked", host=self.host.name)
        return self.connections[next((name for name in names if name != self.host.name), names[0])]

    @property
    def proxies(self) -> dict[str, Connection]:
        """The connected hosts that have a proxy to the apiservers."""
        return {
            name: connection
            for name, connection in self.connections.items()
            if has_proxy(self.cluster, self.cluster.host(name))
        }

    def note(self, text: str) -> None:
        """Tells who watches."""
        self.emit(Note(text, host=self.host.name))
