"""Where libvirt can do as it likes: namespaces of its own, with which all is gone that it made."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).with_name("libvirt.sh")
_END_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A libvirtd in namespaces of its own. `pid` is its first process, as seen from here."""

    pid: int

    @property
    def network(self) -> str:
        """The name of its network namespace."""
        return str(Path(f"/proc/{self.pid}/ns/net").readlink())

    def inside(self, *command: str) -> list[str]:
        """A command as one that sees the libvirtd, and reaches the machines."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--wd=.", "--", *command]

    def in_network(self, *command: str) -> list[str]:
        """A command as one that reaches the machines, and nothing else by the network. It ends with these tests."""
        return ["setpriv", "--pdeathsig=TERM", "nsenter", f"--target={self.pid}", "--net", "--", *command]

    def virsh(self, *arguments: str) -> str:
        """What `virsh` says."""
        command = self.inside("virsh", "--quiet", "--connect", "qemu:///system", *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def networks() -> set[str]:
    """The network namespaces that processes of this machine are in."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            found.add(str((process / "ns/net").readlink()))
    return found


@contextmanager
def sandbox(work: Path) -> Iterator[Sandbox]:
    """What libvirt writes goes below `work`. At the end everything in the sandbox is killed."""
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private", "--"]
    with subprocess.Popen(
        [*unshare, "bash", str(_SCRIPT), str(work)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        first = process.stdout.readline()
        assert first, f"libvirtd has not started: {work}/libvirtd.log"
        try:
            yield Sandbox(int(first))
        finally:
            process.stdin.close()
            process.wait(_END_SECONDS)
