"""What drills run on hosts is sound shell, and rules that nft takes."""

import os
import shutil
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kbootstrap.drills.arm import HEAL, Undo, arm_script, armed_by
from kbootstrap.drills.faults import disk, members, network, partition, power, units
from kbootstrap.drills.lookout import script
from tests.unit.drills.stage import OWNER, VIP

REJOIN = members.rejoin(VIP, VIP.host("cp3"))
SCRIPTS = {
    "arm": arm_script(Undo(REJOIN, armed_by(OWNER, "etcd-member-wipe")), 90),
    "heal": HEAL,
    "lookout": script("/run/kbootstrap/lookout", 60),
    "rejoin": REJOIN,
    "wipe": members.WIPE,
    "lose": members.LOSE,
    "find": members.FOUND,
    "share": disk.SHARED,
    "fill": disk.FILL,
    "empty": disk.EMPTIED,
    "lossy": network.losing(["198.18.0.12", "198.18.0.13"], 2380),
    "lossless": network.KEEPING,
    "joined": partition.JOINED,
    "sysrq": power.SYSRQ,
    "kill": units.killed_for_good("x.service", VIP.host("cp1")).strike["cp1"],
}


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    for name, text in SCRIPTS.items():
        (tmp_path / f"{name}.sh").write_text(f"#!/bin/sh\n{text}\n")
    files = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(["shellcheck", "--shell=sh", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_container_is_not_crashed() -> None:
    """It would be the machine below: nothing is asked of the kernel before that is known."""
    assert power.SYSRQ.index("systemd-detect-virt") < power.SYSRQ.index("exit 1") < power.SYSRQ.index("sysrq")


@pytest.mark.parametrize("direction", ["both", "inbound", "outbound"])
def test_partitions_leave_the_drills_own_connection(direction: partition.Direction) -> None:
    rules = partition.cut(direction, "eth0", IPv4Address("198.18.0.100"), "198.18.0.1", 2222)
    assert ("hook ingress" in rules) == (direction != "outbound")
    assert ("hook egress" in rules) == (direction != "inbound")
    assert rules.count("policy drop") == rules.count(" 2222 accept") == (2 if direction == "both" else 1)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="nft asks the kernel, as root")
@pytest.mark.parametrize("direction", ["both", "inbound", "outbound"])
def test_nft_takes_them(direction: partition.Direction) -> None:
    rules = partition.cut(direction, "lo", IPv4Address("198.18.0.100"), "198.18.0.1", 22)
    done = subprocess.run(["nft", "--check", "--file", "-"], input=rules, text=True, capture_output=True, check=False)
    if "not permitted" in done.stderr or "not supported" in done.stderr:
        pytest.skip("this kernel does not let us ask")
    assert done.returncode == 0, done.stderr
