"""The one way in which the lab runs programs of this machine."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence

from kbootstrap.errors import LabError

PACKAGES: Mapping[str, str] = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
"""The programs the lab needs, and the Debian packages they are in."""

VM_PACKAGES: Mapping[str, str] = {"mke2fs": "e2fsprogs", "qemu-system-x86_64": "qemu-system-x86"}
"""Those that it needs for virtual machines."""


def require_programs(*, vms: bool) -> None:
    """`LabError` with the command that installs what is missing."""
    needed = {**PACKAGES, **(VM_PACKAGES if vms else {})}
    missing = sorted({package for program, package in needed.items() if shutil.which(program) is None})
    if missing:
        raise LabError(f"the lab needs {', '.join(missing)}", hint=f"apt-get install --yes {' '.join(missing)}")


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    timeout: float = 30,
    keep_fds: Sequence[int] = (),
    check: bool = True,
) -> str:
    """Standard output of a program; `LabError` when it failed, or took more than `timeout` seconds."""
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False, pass_fds=keep_fds
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"no end after {timeout:g} s", command=" ".join(argv)) from error
    if check and done.returncode != 0:
        raise LabError(
            f"{argv[0]} ended with {done.returncode}",
            command=" ".join(argv),
            output=(done.stderr or done.stdout).strip(),
        )
    return done.stdout
