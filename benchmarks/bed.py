"""Where it is measured: a lab of its own, an inventory of it, and the command line as a user calls it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.openssh import OpenSsh
from kbootstrap.errors import CommandFailed
from kbootstrap.lab.inventory import inventory
from kbootstrap.lab.lab import Lab
from kbootstrap.lab.spec import LabSpec, standard
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.load import load_inventory

PROGRAM = Path(sys.executable).with_name("kbootstrap")
TIMEOUT = 1200.0
"""Seconds that any command measured may take: more than the slowest needs on a busy machine."""


@dataclass(frozen=True, slots=True)
class Bed:
    """A lab's hosts; `folder` is for what is written on this machine, and goes with them."""

    spec: LabSpec
    folder: Path

    @property
    def lab(self) -> Lab:
        return Lab(self.spec.name)

    @property
    def hosts(self) -> list[str]:
        return list(self.spec.hosts)

    @property
    def first(self) -> str:
        """The first control-plane host."""
        return self.hosts[0]

    @property
    def cluster(self) -> Cluster:
        return load_inventory(self._inventory)

    @property
    def ssh(self) -> OpenSsh:
        return OpenSsh(self.lab.ssh_config)

    @property
    def _inventory(self) -> Path:
        return self.folder / "inventory.yml"

    def renew(self) -> None:
        """Bare hosts, whatever they were before."""
        self.lab.down()
        Lab.up(self.spec)
        self._inventory.write_text(inventory(self.spec))

    def kbootstrap(self, *arguments: str, codes: Sequence[int] = (0,)) -> str:
        """What the command line prints; `CommandFailed` when it ends with none of `codes`."""
        command = [str(PROGRAM), *arguments, "--inventory", str(self._inventory)]
        return run(command, cwd=self.folder, codes=codes, environment={"XDG_STATE_HOME": str(self.folder / "state")})


@contextmanager
def made_bed(name: str, subnet: str, *, control_planes: int = 3, workers: int = 2) -> Iterator[Bed]:
    """Bare hosts. They are gone afterwards, whatever happens; what an earlier, killed run left goes first."""
    spec = standard(name=name, subnet=IPv4Network(subnet), control_planes=control_planes, workers=workers)
    with TemporaryDirectory(prefix=f"kbootstrap-{name}-") as folder:
        bed = Bed(spec, Path(folder))
        try:
            bed.renew()
            yield bed
        finally:
            with _undisturbed():
                bed.lab.down()


def run(
    command: Sequence[str], *, cwd: Path, codes: Sequence[int] = (0,), environment: Mapping[str, str] | None = None
) -> str:
    """Standard output of a program on this machine; `CommandFailed` when it ends with none of `codes`."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode not in codes:
        raise CommandFailed(
            f"{Path(command[0]).name} ended with {done.returncode}",
            command=" ".join(command),
            output=f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}",
        )
    return done.stdout


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not stop the cleaning up."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
