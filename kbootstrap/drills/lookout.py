"""Hears from control-plane hosts and load balancers what happens there: who takes the VIP, who leads, who notices what.

The hosts tell it when it happens (their kernel and their journals), so that nothing is polled while requests are timed.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from kbootstrap.components import endpoint, etcd, kube_controller_manager, kube_scheduler
from kbootstrap.drills.chronicle import Chronicle
from kbootstrap.drills.result import Kind
from kbootstrap.errors import KbootstrapError
from kbootstrap.transport.connection import Connection

UNITS = (etcd.UNIT, endpoint.UNIT, kube_controller_manager.UNIT, kube_scheduler.UNIT)

LISTENS = "listens"
START_SECONDS = 10.0
END_SECONDS = 5.0

_ELECTED = re.compile(r"elected leader ([0-9a-f]+) at term (\d+)")
_LEASE = re.compile(r"[Ss]uccessfully acquired lease\W.*?\bkube-system/([a-z-]+)")
_UNREADY = re.compile(r"(\S+) is (unready): (.*)|(\S+) is ready$")
_GONE = re.compile(r"(\S+) (?:is gone|does not recover), connections ended: (\d+)")
_ADDRESS = re.compile(r"(Deleted )?\d+: .* inet (\S+)/32 ")


def script(folder: str, seconds: float) -> str:
    """Shell that prints a line when something happens. It ends when its folder is taken away, or after `seconds`."""
    units = " ".join(f"--unit={unit}" for unit in UNITS)
    return f"""\
mkdir -p {folder}
timeout {seconds:.0f} ip -4 -oneline monitor address 2>/dev/null &
timeout {seconds:.0f} journalctl --follow --lines=0 --output=cat {units} 2>/dev/null &
trap 'kill $(jobs -p) 2>/dev/null' EXIT
echo {LISTENS}
while [ -d {folder} ]; do sleep 0.5; done
"""


@dataclass(frozen=True, slots=True)
class Hearer:
    """Makes moments of what a host says. `members` are etcd's members by their id in hexadecimal digits."""

    host: str
    vip: str
    """Empty for a host that does not hold it, whatever addresses it has."""
    members: Mapping[str, str]
    names: Mapping[str, str]
    """Hosts by address."""
    chronicle: Chronicle
    hold: Callable[[str, bool], None]
    """Told which host has the VIP, or has it no more."""

    def hear(self, line: str) -> None:
        """One line of the host's."""
        if match := _ADDRESS.match(line):
            self._address(match[2], gone=bool(match[1]))
        elif match := _ELECTED.search(line):
            name = self.members.get(match[1], match[1])
            self.chronicle.note(Kind.LEADER, f"etcd follows {name} (term {match[2]})", self.host)
        elif match := _LEASE.search(line):
            self.chronicle.note(Kind.LEADER, f"{match[1]} leads here", self.host)
        elif match := _UNREADY.fullmatch(line.strip()):
            server = match[1] or match[4]
            name = self.names.get(server, server)
            if match[2]:
                self.chronicle.note(
                    Kind.DETECTED, f"the proxy passes over the apiserver of {name}: {match[3]}", self.host
                )
            else:
                self.chronicle.note(Kind.NOTE, f"the proxy has the apiserver of {name} in again", self.host)
        elif match := _GONE.fullmatch(line.strip()):
            name = self.names.get(match[1], match[1])
            said = f"connections to the apiserver of {name} that the proxy ended: {match[2]}"
            self.chronicle.note(Kind.NOTE, said, self.host)

    def _address(self, address: str, *, gone: bool) -> None:
        if address != self.vip:
            return
        self.hold(self.host, not gone)
        if gone:
            self.chronicle.note(Kind.NOTE, f"{self.host} has given up the VIP", self.host)
        else:
            self.chronicle.note(Kind.VIP_MOVED, f"the VIP is on {self.host}", self.host)


@dataclass(slots=True)
class Lookout:
    """Listens to hosts, each in a thread of its own."""

    run: str
    seconds: float
    hearer: Callable[[str], Hearer]

    @property
    def folder(self) -> str:
        return f"/run/kbootstrap/lookout-{self.run}"

    @contextmanager
    def listening(self, connections: Mapping[str, Connection]) -> Iterator[None]:
        """While open. A host that loses its power is not heard any more; that it listens again is asked for anew."""
        threads = [self._listen(name, connection) for name, connection in connections.items()]
        for _, ready in threads:
            ready.wait(START_SECONDS)
        try:
            yield
        finally:
            for connection in connections.values():
                with suppress(KbootstrapError):
                    connection.run(f"rm -rf {self.folder}", timeout=END_SECONDS)
            for thread, _ in threads:
                thread.join(END_SECONDS)

    def _listen(self, name: str, connection: Connection) -> tuple[threading.Thread, threading.Event]:
        ready = threading.Event()
        hearer = self.hearer(name)

        def line(text: str) -> None:
            if text.strip() == LISTENS:
                ready.set()
            else:
                hearer.hear(text)

        def listen() -> None:
            with suppress(KbootstrapError):  # its power was cut, or it is over
                connection.run_script(
                    script(self.folder, self.seconds),
                    timeout=self.seconds + END_SECONDS,
                    on_line=line,
                )
            ready.set()

        thread = threading.Thread(target=listen, name=f"lookout-{name}", daemon=True)
        thread.start()
        return thread, ready
