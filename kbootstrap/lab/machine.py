"""What the hosts share with this machine: kernel settings that have no namespace.

Many hosts need more of some than the defaults give, and what runs on the hosts (a kubelet, sysctl.d) sets others.
The first lab notes what they were, the last one puts that back.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from kbootstrap.lab import disks
from kbootstrap.lab.command import run
from kbootstrap.lab.keys import write
from kbootstrap.lab.lock import locked

STATE = Path("/var/lib/kbootstrap-lab")
LOCKS = Path("/run/lock")

_SYSCTLS = Path("/proc/sys")
_NOTED = STATE / "sysctls.json"
_LOCK = LOCKS / "kbootstrap-lab"
_LOCK_SECONDS = 150
_REMOVE_SECONDS = 120

# Fifty hosts that all know each other, with a handful of inotify users on each. What hosts send each other waits in a
# queue for each processor: with the default of 1000 packets it overflowed, and a lost packet costs its sender 0.2 s
# (TCP's shortest retransmission time), a lost SYN a second.
_AT_LEAST: Mapping[str, int] = {
    "fs/inotify/max_user_instances": 16_384,
    "fs/inotify/max_user_watches": 1_048_576,
    "net/core/netdev_max_backlog": 16_384,
    "net/ipv4/neigh/default/gc_thresh1": 8_192,
    "net/ipv4/neigh/default/gc_thresh2": 16_384,
    "net/ipv4/neigh/default/gc_thresh3": 32_768,
}
_TOUCHED_BY_HOSTS = (
    "fs/file-max",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/max_map_count",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "vm/swappiness",
)


def claim(folder: Path) -> None:
    """Make a lab's `folder` in STATE, and the machine fit for labs."""
    with _locked():
        STATE.mkdir(exist_ok=True)
        if not _NOTED.exists():
            noted = {name: _read(name) for name in (*_AT_LEAST, *_TOUCHED_BY_HOSTS)}
            write(_NOTED, json.dumps(noted).encode())
        for name, least in _AT_LEAST.items():
            if int(_read(name)) < least:
                _set(name, str(least))
        folder.mkdir(exist_ok=True)


def release(folder: Path) -> None:
    """Remove a lab's `folder`; with the last one, everything that labs have changed on the machine."""
    with _locked():
        disks.detach(folder)
        run(["rm", "-rf", "--one-file-system", str(folder)], timeout=_REMOVE_SECONDS)
        if _NOTED.exists() and not any(path.is_dir() for path in STATE.iterdir()):
            for name, value in json.loads(_NOTED.read_text()).items():
                if _read(name) != value:
                    _set(name, value)
            _NOTED.unlink()
        with suppress(OSError):  # not there, or another lab's folder is in it
            STATE.rmdir()


@contextmanager
def _locked() -> Iterator[None]:
    with locked(_LOCK, timeout=_LOCK_SECONDS):
        try:
            yield
        finally:
            _LOCK.unlink()


def _read(sysctl: str) -> str:
    return (_SYSCTLS / sysctl).read_text().strip()


def _set(sysctl: str, value: str) -> None:
    (_SYSCTLS / sysctl).write_text(value)
