"""The root file systems that all hosts of a kind share, built once from this machine's own package sources."""

import fcntl
import hashlib
import os
import platform
import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from kbootstrap.errors import LabError
from kbootstrap.events import Note, Sink
from kbootstrap.lab.command import run

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "sudo",
    "iproute2",
    "iptables",
    "nftables",
    "procps",
    "kmod",
    "ca-certificates",
    "curl",
)
"""What a bare host has: what a minimal server install has, and nothing of a cluster."""

_EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
_BUILD_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is special about the base root of a kind of host. Scripts get the root as their first argument."""

    name: str
    packages: tuple[str, ...] = ()
    before_install: str = ""
    """Script to run when only the essential packages are there."""
    after_install: str = ""
    """Script to run when all are."""
    depends_on: str = ""
    """What else of this machine the root depends on."""


def ensure(cache: Path, recipe: Recipe, emit: Sink) -> Path:
    """The base root for this machine's Debian release below `cache`; built (20 s, with a kernel 60 s) if not there."""
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    digest = hashlib.sha256(repr((suite, platform.machine(), PACKAGES, _EXCLUDED, _common(), recipe)).encode())
    base = cache / f"{recipe.name}-{digest.hexdigest()[:16]}"
    if not base.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _build(base, suite, recipe, emit)
    return base


def _common() -> str:
    return (files(__package__) / "customize.sh").read_text()


def _build(base: Path, suite: str, recipe: Recipe, emit: Sink) -> None:
    lock = os.open(base.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # inherited below: held until a build whose parent was killed has ended
        if base.exists():
            return
        emit(Note(f"building the base root of the lab's {recipe.name}s (Debian {suite}), once"))
        unfinished = base.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        run(
            [
                # In a mount namespace: nothing stays mounted, whatever happens.
                *("unshare", "--mount", "--propagation", "private", "--"),
                *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"),
                f"--include={','.join((*PACKAGES, *recipe.packages))}",
                *(f"--dpkgopt=path-exclude={path}" for path in _EXCLUDED),
                *([f"--essential-hook={recipe.before_install}"] if recipe.before_install else []),
                *(f"--customize-hook={script}" for script in (recipe.after_install, _common()) if script),
                *(suite, str(unfinished), "-"),
            ],
            stdin=_sources(suite),
            timeout=_BUILD_SECONDS,
            keep_fds=(lock,),
        )
        unfinished.rename(base)
    finally:
        os.close(lock)


def _sources(suite: str) -> str:
    """The machine's configured sources for its own release, as lines of a sources.list."""
    lines = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Identifier: Packages",
        ]
    ).splitlines()
    wanted = {suite, f"{suite}-updates", f"{suite}-security"}
    own = [line for line in lines if line.split()[2] in wanted]
    if not own:
        raise LabError(
            f"no package source for {suite or 'this system'} is configured",
            hint="the lab's hosts are made from the machine's own package sources: Debian or Ubuntu with apt",
        )
    return "\n".join(dict.fromkeys(own)) + "\n"
