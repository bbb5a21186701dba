"""Whose disk may be filled."""

import os
import subprocess
from pathlib import Path

import pytest

from kbootstrap.drills.faults import disk


@pytest.mark.parametrize(
    ("container", "mount", "says"),
    [
        (False, "ext4 /", ""),
        (False, "ext4 /var", ""),
        (True, "tmpfs /", ""),
        (True, "overlay /", "a part of a disk that other hosts share (overlay /)"),
        (True, "ext4 /lab/cp1/etcd", "a part of a disk that other hosts share (ext4 /lab/cp1/etcd)"),
    ],
)
def test_a_disk_that_other_hosts_share_is_not_filled(tmp_path: Path, container: bool, mount: str, says: str) -> None:
    for name, body in {"findmnt": f"echo '{mount}'", "systemd-detect-virt": "true" if container else "false"}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", disk.SHARED], env={"PATH": path}, capture_output=True, text=True, check=True)
    assert says in done.stdout
    assert bool(done.stdout) == bool(says)
