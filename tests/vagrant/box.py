"""A Vagrant box for libvirt, made of this machine's own package sources."""

import hashlib
import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from kbootstrap.lab import base
from kbootstrap.lab.base import Recipe
from kbootstrap.lab.command import run
from kbootstrap.lab.qemu import virtual_machine

CACHE = Path(".cache/kbootstrap/vagrant")
"""Below the home folder. It may be deleted at any time."""

NAME = "debian/bookworm64"
"""What the Vagrantfile asks for."""

_LAB_QEMU = Path(virtual_machine.__file__).parent
_CUSTOMIZE = Path(__file__).with_name("customize-box.sh")
_GIGABYTES = 8
"""How large a machine's disk is; of which this machine's disk has what was written."""
_METADATA = {"provider": "libvirt", "format": "qcow2", "virtual_size": _GIGABYTES}
_DISK_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Box:
    """The file that `vagrant box add` takes. Its machines boot the kernel from outside their disks."""

    file: Path
    kernel: Path
    initrd: Path


def ensure(cache: Path) -> Box:
    """The box for this machine's Debian release below `cache`; built if not there. `LabError` if that fails."""
    root = base.ensure(cache, _recipe(), lambda _: None)
    script = _LAB_QEMU / "make-disk.sh"
    digest = hashlib.sha256(script.read_bytes() + json.dumps(_METADATA).encode()).hexdigest()
    file = cache / f"{root.name}-{digest[:8]}.box"
    if not file.exists():
        work = file.with_suffix(".new")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        _make(root, script, work).rename(file)
        shutil.rmtree(work)
    kernel = virtual_machine.kernel(root)
    return Box(file, kernel, kernel.with_name(kernel.name.replace("vmlinuz", "initrd.img")))


def _recipe() -> Recipe:
    """A lab's virtual machine, and what Vagrant needs besides."""
    machine = virtual_machine.recipe()
    return Recipe(
        "box",
        packages=(*machine.packages, "systemd-resolved", "rsync"),
        before_install=machine.before_install,
        after_install=_CUSTOMIZE.read_text(),
    )


def _make(root: Path, script: Path, work: Path) -> Path:
    raw, image, metadata, packed = (work / name for name in ("raw", "box.img", "metadata.json", "box"))
    nothing_over_it = work / "upper"
    nothing_over_it.mkdir()
    run(
        [
            *("unshare", "--mount", "--propagation", "private", "--", "sh", str(script)),
            *(str(root), str(nothing_over_it), str(raw), f"{_GIGABYTES}G"),
        ],
        timeout=_DISK_SECONDS,
    )
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(image)], timeout=_DISK_SECONDS)
    metadata.write_text(json.dumps(_METADATA))
    with tarfile.open(packed, "w") as archive:
        for part in (metadata, image):
            archive.add(part, part.name)
    return packed
