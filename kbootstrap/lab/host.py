"""One host: what is its own on this machine's disk, and its power switch. How it boots is its kind's to say."""

import os
import shutil
import subprocess
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path, PurePosixPath

from kbootstrap.lab import cgroups, keys, network
from kbootstrap.lab.spec import LabSpec

_KILL_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Content:
    """A file that makes a host different from the base."""

    path: PurePosixPath
    text: str
    mode: int = 0o644


def contents(spec: LabSpec, name: str, machine_id: str, opened_by: str) -> Iterator[Content]:
    """The files of host `name` (all but its host key); `opened_by` is the public key that opens it."""
    etc = PurePosixPath("etc")
    yield Content(etc / "hostname", f"{name}\n")
    yield Content(etc / "hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost\n")
    # Nobody answers there, but refuses at once. Without any server in it CoreDNS takes the file for broken.
    yield Content(etc / "resolv.conf", f"nameserver {spec.control_machine}\n")
    yield Content(etc / "machine-id", f"{machine_id}\n", mode=0o444)
    yield Content(etc / "ssh/authorized_keys.d" / spec.login(name), f"{opened_by}\n")
    if spec.ssh_port(name) != keys.SSH_PORT:
        yield Content(etc / "ssh/sshd_config.d/port.conf", f"Port {spec.ssh_port(name)}\n")
    jump = spec.hosts[name].jump
    if jump is not None:
        yield Content(
            etc / "nftables.conf",
            "table inet lab_jump {\n  chain input {\n    type filter hook input priority filter - 10;\n"
            f'    iif != "lo" tcp dport {spec.ssh_port(name)} ip saddr != {spec.hosts[jump].address} drop\n'
            "  }\n}\n",
        )
        yield Content(etc / "systemd/system/nftables.service.d/lab.conf", "[Service]\nExecStop=\nExecStop=/bin/true\n")


@dataclass(frozen=True, slots=True)
class Boot:
    """A script that runs a host until it is off, in the folder of a Python package, and its own environment.

    The host gets `weight` times as much processor time as others of its lab when all want some.
    """

    package: str
    script: str
    environment: Mapping[str, str]
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Host(ABC):
    """A host of a lab; `folder` is its own on this machine's disk."""

    lab: LabSpec
    name: str
    folder: Path

    @abstractmethod
    def boot(self) -> Boot:
        """How it is run."""

    @abstractmethod
    def make_disk(self) -> None:
        """Make what `boot` needs, when the files that make the host itself are in `upper`."""

    @property
    def console(self) -> Path:
        """What the host has printed while booting."""
        return self.folder / "console.log"

    @property
    def upper(self) -> Path:
        """The files that make it different from the base."""
        return self.folder / "upper"

    @property
    def address(self) -> str:
        """With the length of the prefix."""
        return f"{self.lab.hosts[self.name].address}/{self.lab.subnet.prefixlen}"

    def is_on(self) -> bool:
        """Whether any process of it lives."""
        return bool(cgroups.processes(self.lab.name, self.name))

    def host_key(self) -> str:
        """The public key its sshd shows."""
        return keys.ensure_key(self.upper / "etc/ssh/ssh_host_ed25519_key")

    def prepare(self, opened_by: str) -> None:
        """Lay out its disk, if that was not done yet: the base, and what makes it itself."""
        if self.folder.exists():
            return
        unfinished = replace(self, folder=self.folder.with_name(f".{self.name}.new"))
        shutil.rmtree(unfinished.folder, ignore_errors=True)
        (unfinished.upper / "etc/ssh").mkdir(parents=True)
        unfinished.host_key()
        for content in contents(self.lab, self.name, uuid.uuid4().hex, opened_by):
            unfinished.add(content)
        if self.lab.hosts[self.name].jump:
            unfinished.enable("nftables.service", "sysinit.target")
        unfinished.make_disk()
        unfinished.folder.rename(self.folder)

    def add(self, content: Content) -> None:
        """Put a file on the disk that is being laid out."""
        (self.upper / content.path).parent.mkdir(parents=True, exist_ok=True)
        keys.write(self.upper / content.path, content.text.encode(), content.mode)

    def enable(self, unit: str, target: str) -> None:
        """Have systemd start `unit` on the disk that is being laid out."""
        wants = self.upper / "etc/systemd/system" / f"{target}.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / unit).symlink_to(f"/lib/systemd/system/{unit}")

    def power_on(self, lock: int) -> None:
        """Boot, if it is off; does not wait. `lock` is the lab's."""
        if self.is_on():
            return
        boot = self.boot()
        groups = cgroups.create(self.lab.name, self.name, boot.weight)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LAB_CGROUPS": " ".join(map(str, groups)),
            "LAB_SWITCH": network.switch(self.lab.name),
            "LAB_BRIDGE": network.BRIDGE,
            "LAB_HOST": self.name,
            "LAB_MACHINE": f"{self.lab.name}-{self.name}",
            "LAB_MAC": network.link_address(self.lab.name, self.name),
            "LAB_DIR": str(self.folder),
            **boot.environment,
        }
        with as_file(files(boot.package) / boot.script) as script, self.console.open("ab") as console:
            subprocess.run(
                ["setsid", "--fork", "sh", str(script), "supervise"],
                env=environment,
                stdin=lock,
                stdout=console,
                stderr=console,
                check=True,
            )

    def power_off(self) -> None:
        """Cut the power: off the network first, then every process is killed."""
        network.unplug(self.lab.name, self.name)
        cgroups.kill(self.lab.name, self.name, timeout=_KILL_SECONDS)
