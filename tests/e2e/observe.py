"""What tests look at on hosts and on this machine, without asking the program under test."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote

from tests.e2e.bed import Bed

_RUNNING = """\
systemctl list-units --type=service --state=running --plain --no-legend | awk '{print $1}' | grep -v '^user@' |
xargs systemctl show --property=Id,InvocationID,ExecMainStartTimestampMonotonic | paste -sd' ' | sed 's/  /\\n/g'"""

_CONTENT = """\
sudo tar --create --directory=/ --sort=name --mtime=@0 --ignore-failed-read --warning=none \
  etc opt usr/local var/lib/kbootstrap var/lib/etcd var/lib/kubelet var/lib/containerd 2>/dev/null | sha256sum
systemctl list-unit-files --plain --no-legend | sha256sum
systemctl list-units --type=service --state=running --plain --no-legend | awk '{print $1}' | grep -v '^user@'
dpkg-query --show | sha256sum; sudo find /var/log/kbootstrap /run/kbootstrap -type f 2>/dev/null | grep -v /lock"""


def running_units(bed: Bed) -> dict[str, set[str]]:
    """Every service that runs on each host, with the id and the time of its present start."""
    return {host: set(text.splitlines()) for host, text in bed.on_all(_RUNNING).items()}


def pods(bed: Bed) -> set[str]:
    """Every container in the cluster by its pod, with how often it was restarted."""
    columns = "custom-columns=:.metadata.name,:.status.containerStatuses[*].containerID"
    return set(bed.kubectl(f"get pods --all-namespaces --no-headers --output={columns}").splitlines())


def contents(bed: Bed, hosts: list[str]) -> dict[str, str]:
    """What would tell that something was changed on a host: digests of its files, its units and packages."""
    return bed.on_all(f"bash -c {quote(_CONTENT)} || true", hosts)


def vip_holders(bed: Bed, hosts: list[str] | None = None) -> list[str]:
    """The hosts that have the VIP on an interface."""
    seen = bed.on_all(f"ip -4 -oneline address show to {bed.spec.vip}/32", hosts or bed.control_planes)
    return [host for host, text in seen.items() if text]


def footprint(lab: str) -> list[str]:
    """Everything on this machine that carries the name of a lab, without asking the lab."""
    commands = ("ip -o link", "ip netns list", "cat /proc/self/mountinfo", "ls /run/lock /run/systemd/nspawn")
    lines = [line for command in commands for line in _output(command).splitlines()]
    lines += map(str, Path("/var/lib/kbootstrap-lab").glob("*"))
    lines += map(str, (Path.home() / ".cache/kbootstrap/lab").glob("*"))
    lines += [folder for folder, _, _ in os.walk("/sys/fs/cgroup")]
    return [line for line in lines if lab in line] + list(showing(lab))


def showing(text: str, lab: str | None = None) -> Iterator[str]:
    """Processes, but our own, with this text in their command line or, if they are a host's of this lab (default:
    any process), in their environment.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            said = (folder / "cmdline").read_bytes()
            if lab is None or lab in (folder / "cgroup").read_text():
                said += (folder / "environ").read_bytes()
            if text.encode() in said:
                yield f"process {folder.name}: {(folder / 'comm').read_text().strip()}"


def _output(command: str) -> str:
    return subprocess.run(command.split(), capture_output=True, text=True, check=False).stdout
