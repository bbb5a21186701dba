"""The root file system that all hosts share, built once from this machine's own package sources."""

import fcntl
import hashlib
import os
import platform
import shlex
import shutil
from importlib.resources import as_file, files
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
_BUILD_SECONDS = 900


def ensure(cache: Path, emit: Sink) -> Path:
    """The base root for this machine's Debian release below `cache`; built (20 s) if it is not there."""
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    with as_file(files(__package__) / "customize.sh") as customize:
        recipe = repr((suite, platform.machine(), platform.release(), PACKAGES, _EXCLUDED, customize.read_text()))
        base = cache / f"base-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
        if not base.exists():
            cache.mkdir(parents=True, exist_ok=True)
            _build(base, suite, customize, emit)
    return base


def _build(base: Path, suite: str, customize: Path, emit: Sink) -> None:
    lock = os.open(base.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # inherited below: held until a build whose parent was killed has ended
        if base.exists():
            return
        emit(Note(f"building the lab's base root (Debian {suite}), once"))
        unfinished = base.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        run(
            [
                # In a mount namespace: nothing stays mounted, whatever happens.
                *("unshare", "--mount", "--propagation", "private", "--"),
                *(
                    "mmdebstrap",
                    "--quiet",
                    "--mode=root",
                    "--variant=minbase",
                    f"--include={','.join(PACKAGES)}",
                ),
                *(f"--dpkgopt=path-exclude={path}" for path in _EXCLUDED),
                f'--customize-hook=sh {shlex.quote(str(customize))} "$1"',
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
