"""A Vagrant project like this repository, with addresses that a test may use."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.lab.qemu import accelerator
from tests.e2e.bed import PROGRAM, Outcome
from tests.vagrant import overrides
from tests.vagrant.box import NAME, Box
from tests.vagrant.sandbox import Sandbox

ROOT = Path(__file__).parents[2]

NETWORK = "198.18.64."
"""In place of that of the inventories; Vagrant's own way to the machines is the next."""
_INVENTORIES_NETWORK = "192.168.56."

_EMULATED = """\
timeouts: {scale: 8}
host: {max_clock_skew_seconds: 5}
kube_controller_manager: {extra_args: {leader-elect-lease-duration: 60s, leader-elect-renew-deadline: 40s}}
kube_scheduler: {extra_args: {leader-elect-lease-duration: 60s, leader-elect-renew-deadline: 40s}}
"""
"""Added to the inventories where there is no KVM: machines are slow, and their clocks begin with whole seconds."""

_SMALLEST = "vagrant.yml"
"""The inventory of two machines. Those with more of them leave each one emulated processor: all are threads of one
machine."""

_APT = """\
#!/bin/sh
# The machines' network leads nowhere else, and this machine's apt needs its package sources.
exec nsenter --net=/proc/{pid}/ns/net -- {program} "$@"
"""

UP_SECONDS = 2400
"""More than anything here may take, under emulation on a machine that has other work."""

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with the Vagrantfile as it is, and the inventories with other addresses. `note` takes every timing."""

    folder: Path
    sandbox: Sandbox
    note: Note

    def vagrant(self, *arguments: str, topology: str = "single") -> Outcome:
        """Run Vagrant in the folder."""
        command = self.sandbox.inside("vagrant", "--no-tty", *arguments)
        return self._run("vagrant", command, arguments, self._vagrants(topology))

    def kbootstrap(self, *arguments: str, inventory: str = "vagrant.yml") -> Outcome:
        """Run the command line under test on an inventory."""
        command = (str(PROGRAM), *arguments, "--inventory", f"inventories/{inventory}")
        own = {"COLUMNS": "120", "NO_COLOR": "1", "XDG_STATE_HOME": str(self.folder / "state")}
        own |= {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        return self._run("kbootstrap", self.sandbox.in_network(*command), arguments, own)

    def _vagrants(self, topology: str) -> dict[str, str]:
        home = self.folder / "vagrant-home"
        return {"VAGRANT_HOME": str(home), "VAGRANT_DEFAULT_PROVIDER": "libvirt", "KBOOTSTRAP_TOPOLOGY": topology}

    def _run(self, program: str, command: list[str], arguments: tuple[str, ...], own: Mapping[str, str]) -> Outcome:
        began = time.monotonic()
        done = subprocess.run(
            command,
            env={**_environment(), **own},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=UP_SECONDS,
            check=False,
        )
        said = " ".join((program, *arguments))
        outcome = Outcome(said, done.returncode, done.stdout, done.stderr, time.monotonic() - began)
        self.note(outcome.timing)
        return outcome


def make(folder: Path, sandbox: Sandbox, box: Box, note: Note) -> Project:
    """A project whose box is there; no machine is made yet."""
    emulated = accelerator.accelerator(box.kernel) != accelerator.KVM
    shutil.copy(ROOT / "Vagrantfile", folder)
    (folder / "inventories").mkdir()
    for original in (ROOT / "inventories").glob("vagrant*.yml"):
        text = original.read_text().replace(_INVENTORIES_NETWORK, NETWORK)
        if emulated:
            text = (text if original.name == _SMALLEST else text.replace("cpus: 2", "cpus: 1")) + _EMULATED
        (folder / "inventories" / original.name).write_text(text)
    programs = folder / "bin"
    programs.mkdir()
    overrides.write_program(programs / "apt-get", _APT.format(pid=os.getpid(), program=shutil.which("apt-get")))
    (folder / "vagrant-home").mkdir()
    overrides.write(folder / "vagrant-home", box, emulated=emulated)
    project = Project(folder, sandbox, note)
    project.vagrant("box", "add", "--name", NAME, str(box.file)).expect()
    return project


def _environment() -> dict[str, str]:
    """Without what somebody has set for machines of their own."""
    theirs = ("VAGRANT_", "LIBVIRT_", "KBOOTSTRAP_")
    return {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
