"""A systemd that does nothing, and remembers what it was asked."""

import subprocess
from pathlib import Path

from kbootstrap.workflows.timers import LocalSystemd


def systemd_in(folder: Path, scope: tuple[str, ...] = ()) -> LocalSystemd:
    """Its programs are in `folder`/bin, which PATH has to begin with."""
    program = folder / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho systemctl "$@" >>{folder}/asked\n')
    program.chmod(0o755)
    return LocalSystemd(folder / "units", scope)


def asked(systemd: LocalSystemd) -> list[str]:
    """The commands, in order."""
    return (systemd.folder.parent / "asked").read_text().splitlines()


def complaints(systemd: LocalSystemd) -> list[str]:
    """What systemd does not like about the units."""
    units = [str(path) for path in systemd.folder.iterdir()]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if any(Path(unit).name in line for unit in units)]
