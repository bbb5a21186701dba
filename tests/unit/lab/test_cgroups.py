"""Which cgroup hierarchies a machine has, read from what the kernel tells."""

import subprocess
from pathlib import Path

from kbootstrap.lab import cgroups
from kbootstrap.lab.cgroups import Hierarchy, hierarchies

CGROUP = Path("/sys/fs/cgroup")

V1_MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
52 31 0:32 / /elsewhere/memory rw,relatime shared:7 - cgroup cgroup rw,memory
"""
V1_MEMBERSHIP = """\
9:name=systemd:/user.slice
4:memory:/process_api/e652
2:cpu,cpuacct:/
0::/user.slice/session-1.scope
"""


def test_v1_goes_below_the_callers_cgroup_in_every_hierarchy() -> None:
    assert hierarchies(V1_MOUNTS, V1_MEMBERSHIP) == [
        Hierarchy(CGROUP / "cpu,cpuacct", CGROUP / "cpu,cpuacct", unified=False),
        Hierarchy(CGROUP / "memory", CGROUP / "memory/process_api/e652", unified=False),
        Hierarchy(CGROUP / "systemd", CGROUP / "systemd/user.slice", unified=False),
        Hierarchy(CGROUP / "unified", CGROUP / "unified", unified=True),
    ]


def test_v2_goes_below_the_root() -> None:
    mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
    found = hierarchies(mounts, "0::/user.slice/user-0.slice/session-1.scope\n")
    assert found == [Hierarchy(CGROUP, CGROUP, unified=True)]


def test_a_mount_that_shows_only_a_part_is_followed() -> None:
    mounts = "35 31 0:32 /docker/1f /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n"
    (found,) = hierarchies(mounts, "4:memory:/docker/1f/inner\n")
    assert found.parent == CGROUP / "memory/inner"


def test_a_machine_without_cgroups_has_no_hierarchy() -> None:
    assert hierarchies("27 1 254:0 / / rw - ext4 /dev/vda rw\n", "") == []


def test_a_process_number_that_belongs_to_somebody_else_by_now_is_left_alone() -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        cgroups._kill(stranger.pid, "/kbootstrap-lab-t/")
        assert stranger.poll() is None
        cgroups._kill(stranger.pid, ":/")  # every process is somewhere below a root
        assert stranger.wait(timeout=5) == -9
    finally:
        stranger.kill()


def test_a_weight_counts_from_what_a_group_has_by_default(tmp_path: Path) -> None:
    (tmp_path / "cpu.shares").write_text("1024")
    cgroups._weigh(tmp_path, 4)
    assert (tmp_path / "cpu.shares").read_text() == "4096"
    assert not (tmp_path / "cpu.weight").exists()
    cgroups._weigh(tmp_path, 1000)
    assert (tmp_path / "cpu.shares").read_text() == "262144"


def test_a_lab_weighs_as_much_as_it_has_hosts(tmp_path: Path) -> None:
    lab = tmp_path / "kbootstrap-lab-t"
    for host in ("cp1", "cp2"):
        (lab / host).mkdir(parents=True)
    (lab / "cpu.shares").write_text("1024")
    cgroups._create(Hierarchy(tmp_path, tmp_path, unified=False), "t", "lb1", weight=4)
    assert (lab / "cpu.shares").read_text() == "3072"
