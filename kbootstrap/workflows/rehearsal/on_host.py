"""A scratch place on a host of the cluster: the same as here, by way of SSH. The private key stays here."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kbootstrap.errors import CommandFailed
from kbootstrap.private import KEEPER, PIDS
from kbootstrap.steps.step import quote
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.rehearsal.scratch import LOOPBACK, STOP_SECONDS, last_lines

PARENT = "/var/lib/kbootstrap"
"""On a disk: what is restored may be larger than a host's memory."""
SPARE_BYTES = 512 * 2**20
"""Beside the database, twice: the programs, and etcd's log."""
LOWEST_PORT, HIGHEST_PORT = 20_000, 29_999
"""Below what Services may use as NodePorts (30000 to 32767)."""
SEND_SECONDS = 900.0

_PLACE = f"""\
umask 077
mkdir -p PARENT && place=$(mktemp -d -p PARENT rehearsal.XXXXXXXX) && echo "$place" || exit 1
set -- "$place"
{KEEPER}"""
"""Says where it is, and takes it away when its stdin ends: that is when this machine closes it, or dies."""

_FREE = f"""\
for port in $(shuf --input-range={LOWEST_PORT}-{HIGHEST_PORT} --head-count=200); do
  (exec 3<>/dev/tcp/{LOOPBACK}/$port) 2>/dev/null || echo "$port"
done | head --lines=COUNT"""


@contextmanager
def host_scratch(connection: Connection, database_bytes: int, parent: str = PARENT) -> Iterator["HostScratch"]:
    """A folder of a host, for root alone, and what runs in it; both are gone afterwards, also when this machine dies.

    Raises CommandFailed where there is no room.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(connection.hold(_PLACE.replace("PARENT", parent)))
        if not folder:
            raise CommandFailed(f"no folder can be made in {parent}", host=connection.name)
        place = HostScratch(connection, Path(folder), stack)
        stack.callback(place.stop)
        place.require_room(2 * database_bytes + SPARE_BYTES)
        yield place


@dataclass(slots=True)
class HostScratch:
    """A `Place` on a host. What runs there runs behind everything else."""

    connection: Connection
    folder: Path
    tunnels: ExitStack
    _running: list[str] = field(default_factory=list)

    def require_room(self, needed: int) -> None:
        """Raises CommandFailed when the disk has less."""
        free = int(self.connection.run(f"df --output=avail --block-size=1 {self.folder} | tail -n 1").require().text)
        if free < needed:
            raise CommandFailed(
                f"{self.folder.parent} has {free >> 20} MiB free, and a rehearsal needs {needed >> 20} MiB",
                host=self.connection.name,
                hint="rehearse on another host, or without --on here",
            )

    def bring(self, file: Path) -> Path:
        there = self.folder / file.name
        self.connection.put_file(str(file), str(there), mode=0o700)
        return there

    def path(self, name: str) -> Path:
        return self.folder / name

    def write(self, name: str, content: bytes) -> Path:
        self.connection.put(content, str(self.folder / name))
        return self.folder / name

    def run(self, argv: Sequence[object], *, seconds: float, environment: Mapping[str, str] | None = None) -> str:
        words = " ".join(quote(word) for word in argv)
        given = " ".join(f"{name}={quote(value)}" for name, value in (environment or {}).items())
        done = self.connection.run(f"cd {self.folder} && {given} nice -n 19 {words}", timeout=seconds)
        if not done.ok:
            shown = words.removeprefix(f"{self.folder}/")
            raise CommandFailed(
                "ended with a failure", host=done.host, command=shown, output=last_lines(done.errors or done.text)
            )
        return done.stdout.decode(errors="replace")

    def start(self, name: str, argv: Sequence[object]) -> None:
        words = " ".join(quote(word) for word in argv)
        begin = f"echo $$ >{name}.pid; exec nice -n 19 {words}"
        self.connection.run(
            f"cd {self.folder} && umask 077 && setsid sh -c {quote(begin)} >{name}.log 2>&1 </dev/null &"
        ).require(f"{name} cannot be started")
        self._running.append(name)

    def ended(self, name: str) -> str:
        pid = self.folder / f"{name}.pid"
        alive = self.connection.run(f"[ ! -s {pid} ] || kill -0 $(cat {pid})").ok
        return "" if alive else "ended"

    def said(self, name: str) -> str:
        return last_lines(self.connection.run(f"tail -n 40 {self.folder / name}.log").text)

    def ports(self, count: int) -> list[int]:
        found = self.connection.run(f"bash -c {quote(_FREE.replace('COUNT', str(count)))}").require()
        return [int(word) for word in found.text.split()]

    def reach(self, port: int) -> int:
        return self.tunnels.enter_context(self.connection.tunnel(LOOPBACK, port))

    def stop(self) -> None:
        end = f"cd {self.folder} && for file in {PIDS}; do [ ! -e $file ] || kill -KILL $(cat $file); rm -f $file; done"
        self.connection.run(end, timeout=STOP_SECONDS)
