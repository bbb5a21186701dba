"""How long a disk takes to make a small write safe."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.facts.fact import Single

SAMPLES = 50
WRITE_BYTES = 2300
"""About the size of etcd's writes to its log (etcd documentation: fio with --bs=2300)."""

_SECONDS = re.compile(r"copied, ([0-9.e+-]+) s")


@dataclass(frozen=True, slots=True)
class SyncLatency(Single[tuple[float, ...]]):
    """Seconds that synced writes take where `path` is or would be, ascending; empty when they were not possible.

    dd's own clock is used, so that starting it does not count. The file is removed again.
    """

    path: PurePosixPath

    @property
    def command(self) -> str:
        return f"""\
folder={self.path}
while [ ! -d "$folder" ]; do folder=${{folder%/*}}; folder=${{folder:-/}}; done
file=$(mktemp "$folder/.kbootstrap-latency.XXXXXX") || exit 0
trap 'rm -f "$file"' EXIT
dd if=/dev/zero of="$file" bs={WRITE_BYTES} count={SAMPLES} conv=fsync
n=0
while [ "$n" -lt {SAMPLES} ]; do
  LC_ALL=C dd if=/dev/zero of="$file" bs={WRITE_BYTES} count=1 seek="$n" conv=notrunc oflag=dsync 2>&1
  n=$((n + 1))
done"""

    def value(self, output: bytes) -> tuple[float, ...]:
        return tuple(sorted(float(found) for found in _SECONDS.findall(output.decode(errors="replace"))))
