"""A host that is a systemd container on overlayfs, with a network namespace of its own."""

import platform
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from kbootstrap.lab import disks
from kbootstrap.lab.base import Recipe
from kbootstrap.lab.host import Boot, Host

_REAL = ("containerd", "kubelet", "etcd")
"""Folders of /var/lib that are real ones, not overlayfs: containerd's own overlay cannot lie on another."""

_OWN_DISK = "etcd"
"""Which of them is a disk of the host's own: it can be full when no other host's is, and no host waits for the writes
of another, as five etcd on one disk would."""


def recipe() -> Recipe:
    """Of the base that containers on this machine share: it knows the machine's kernel."""
    customize = files(__package__) / "customize.sh"
    return Recipe("container", after_install=customize.read_text(), depends_on=platform.release())


@dataclass(frozen=True, slots=True)
class Container(Host):
    """A container; `base` is the root below its own files."""

    base: Path

    def make_disk(self) -> None:
        """Folders: overlayfs is mounted when it boots."""
        for folder in ("work", "root", *_REAL):
            (self.folder / folder).mkdir()

    def power_on(self, lock: int) -> None:
        """Boot, with its disks."""
        disks.attach(self.folder / _OWN_DISK)
        Host.power_on(self, lock)

    def boot(self) -> Boot:
        """In a new network namespace and new mounts, each time."""
        return Boot(__package__, "boot.sh", {"LAB_ADDRESS": self.address, "LAB_BASE": str(self.base)})
