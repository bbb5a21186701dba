"""A host that is a virtual machine, with a disk and a port at the lab's bridge."""

import platform
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path, PurePosixPath

from kbootstrap.errors import LabError
from kbootstrap.lab.base import Recipe
from kbootstrap.lab.command import run
from kbootstrap.lab.host import Boot, Content, Host
from kbootstrap.lab.qemu.accelerator import KVM
from kbootstrap.lab.spec import Hardware

_KERNEL = "linux-image-cloud-amd64"
_DISK = "8G"
"""Of which the machine's disk has what was written."""
_DISK_SECONDS = 300
_EMULATED_WEIGHT = 4
"""Times as much processor time as other hosts: for the same work an emulated one takes ten times as long or more."""
_EMULATED_PROCESSOR = "max,-erms,-la57,-smap,-smep,-umip"
"""Without what makes a real one faster or safer, but an emulated one slower: to copy byte by byte (erms) takes it three
times as long, and a fifth level of page tables (la57) is one more to look through. It boots in 27.6 s, not 30.9 s."""

_NETWORK = PurePosixPath("etc/systemd/network/eth0.network")


def recipe() -> Recipe:
    """Of the base that virtual machines share. `LabError` where this machine's release has no kernel for them."""
    if platform.machine() != "x86_64" or platform.freedesktop_os_release().get("ID") != "debian":
        raise LabError("virtual machines in a lab need Debian on x86_64", hint="containers do without: no --vm")
    before_install = files(__package__) / "before_install.sh"
    return Recipe("vm", packages=("udev", "initramfs-tools", _KERNEL), before_install=before_install.read_text())


def kernel(base: Path) -> Path:
    """The kernel in a base root; `LabError` if there is none."""
    return _only(base, "vmlinuz-*")


def _only(base: Path, pattern: str) -> Path:
    found = sorted((base / "boot").glob(pattern))
    if not found:
        raise LabError(f"there is no {pattern} in {base}/boot", hint="remove that folder: it is built anew")
    return found[-1]


@dataclass(frozen=True, slots=True)
class VirtualMachine(Host):
    """A virtual machine whose disk is made from `base`."""

    base: Path
    accelerator: str
    hardware: Hardware

    def make_disk(self) -> None:
        """An ext4 image. The default route leads nowhere (nobody answers ARP for it), as containers have one."""
        self.add(
            Content(
                _NETWORK,
                f"[Match]\nName=eth0\n\n[Network]\nAddress={self.address}\nLinkLocalAddressing=no\n\n"
                "[Route]\nDestination=0.0.0.0/0\nScope=link\n",
            )
        )
        self.enable("systemd-networkd.service", "multi-user.target")
        self.enable("systemd-networkd-wait-online.service", "network-online.target")
        with as_file(files(__package__) / "make-disk.sh") as script:
            run(
                [
                    *("unshare", "--mount", "--propagation", "private", "--", "sh", str(script)),
                    *(str(self.base), str(self.upper), str(self.folder / "disk"), _DISK),
                ],
                timeout=_DISK_SECONDS,
            )

    def boot(self) -> Boot:
        """The kernel from outside its disk, so that there is no boot loader to wait for."""
        emulated = self.accelerator != KVM
        return Boot(
            __package__,
            "boot.sh",
            {
                "LAB_KERNEL": str(kernel(self.base)),
                "LAB_INITRD": str(_only(self.base, "initrd.img-*")),
                "LAB_ACCEL": self.accelerator,
                "LAB_PROCESSOR": _EMULATED_PROCESSOR if emulated else "max",
                "LAB_MEMORY": str(self.hardware.memory),
                "LAB_CPUS": str(self.hardware.cpus),
            },
            weight=_EMULATED_WEIGHT if emulated else 1,
        )
