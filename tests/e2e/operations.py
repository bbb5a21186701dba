"""An operations host: one of the lab on which kbootstrap itself is, with this machine's Python."""

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.bed import PROGRAM, Bed

CHECKOUT = Path(__file__).parents[2]
COMMAND = "/usr/local/bin/kbootstrap"
_STDLIB = Path(sysconfig.get_path("stdlib"))
_LEFT_OUT = (
    f"{_STDLIB}/site-packages",
    f"{_STDLIB}/config-*",
    "test",
    "__pycache__",
    "mypy*",
    "*__mypyc*",
    "go",
    "ruff",
)
"""What is large, and of no use there."""


def equip(bed: Bed, host: str, *more: Path) -> None:
    """Puts the command and what it needs for the bed's inventory on a host, under the same paths as here.

    Nothing that the host has is overwritten.
    """
    lab = bed.lab.ssh_config.parent
    wanted = [
        *_links(PROGRAM.with_name("python3")),
        _STDLIB,
        Path(sys.prefix),
        *(CHECKOUT / part for part in ("kbootstrap", "templates", "playbooks")),
        *_libraries(),
        *(lab / name for name in ("id_ed25519", "known_hosts")),
        bed.inventory,
        *more,
    ]
    without = [f"--exclude={name}" for name in _LEFT_OUT]
    pack = ["tar", "--create", "--absolute-names", *without, *map(str, wanted)]
    unpack = ["ssh", "-F", str(bed.lab.ssh_config), host, "tar --extract --absolute-names --skip-old-files"]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packed:
        subprocess.run(unpack, stdin=packed.stdout, check=True, timeout=300)
    assert packed.returncode == 0
    bed.ssh(host, f"ln -sf {PROGRAM} {COMMAND} && {COMMAND} --help >/dev/null")


def _links(path: Path) -> Iterator[Path]:
    """A path, and where its links lead."""
    yield path
    while path.is_symlink():
        path = path.parent / path.readlink()
        yield path


def _libraries() -> set[Path]:
    """The shared libraries of Python and its modules, with the links to them."""
    programs = [Path(sys.executable), *_STDLIB.glob("lib-dynload/*.so")]
    said = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    found = {Path(words[2]) for words in map(str.split, said.splitlines()) if words[1:2] == ["=>"] and len(words) > 3}
    return {link for library in found for link in _links(library)}
