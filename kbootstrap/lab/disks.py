"""Disks in memory, for hosts that are not to wait for each other's writes: what is written outlasts a power cut.

They are mounted beside the hosts: what a host mounts itself is gone with it.
"""

from pathlib import Path

from kbootstrap.lab.command import run

_SIZE = "1G"
"""What a disk can hold; it takes as much memory as is written to it. An etcd of a lab has some 200 MB."""


def attach(folder: Path) -> None:
    """Have a disk at this empty folder, if there is none yet."""
    if not folder.is_mount():
        run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0755", "kbootstrap-lab", str(folder)])


def detach(below: Path) -> None:
    """Take away the disks below a folder, with what is on them."""
    for folder in _mounted(below):
        # Hosts of other labs still have it among their mounts, and so would keep what is on it in memory.
        run(["find", str(folder), "-xdev", "-mindepth", "1", "-delete"])
        run(["umount", str(folder)])


def _mounted(below: Path) -> list[Path]:
    places = (Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines())
    return [place for place in places if place.is_relative_to(below)]
