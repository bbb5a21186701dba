"""A folder on this machine that is gone afterwards, also when this process is killed: for secrets, for one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from kbootstrap.errors import CommandFailed

PIDS = "*.pid"
"""Files in the folder that name processes: they end with it."""

KEEPER = f"""\
cat >/dev/null
for file in "$1"/{PIDS}; do [ ! -e "$file" ] || kill -KILL "$(cat "$file")"; done
tries=0
while ! rm -rf "$1" && [ "$tries" -lt 20 ]; do tries=$((tries + 1)); sleep 0.1; done
"""
"""Shell that waits for the end of its stdin, and takes the folder `$1` away with its processes."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user may enter. It ends with its processes (see PIDS) and with everything in it."""
    try:
        place = mkdtemp(prefix="kbootstrap-")  # mode 0700
    except OSError as error:
        raise CommandFailed(
            f"no temporary folder can be made: {error}", hint="set TMPDIR to a folder on a disk with room"
        ) from error
    with subprocess.Popen(
        ["sh", "-c", KEEPER, "keeper", place],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ):  # fmt: skip
        yield Path(place)
