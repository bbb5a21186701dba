"""Vagrant itself accepts the Vagrantfile: `make test-vagrant`, which installs it."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("topology", ["single", "ha", "load-balancers"])
def test_vagrant_accepts_it(topology: str, tmp_path: Path) -> None:
    environment = {**os.environ, "KBOOTSTRAP_TOPOLOGY": topology, "VAGRANT_HOME": str(tmp_path)}
    environment |= {"VAGRANT_CWD": str(ROOT), "VAGRANT_DOTFILE_PATH": str(tmp_path / "dot")}
    done = subprocess.run(
        ["vagrant", "validate"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
