"""The backups that an etcd host has, and those that it knows of at the targets (see components/backup.py)."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from kbootstrap.facts.fact import Single

LOCAL = "local"
"""The place that is the host itself; the others are targets."""

_INDEX = re.compile(r"(?P<id>[a-z0-9-]+-\d{8}T\d{6}Z-[a-z0-9-]+)\.json")
_KINDS = ("verified", "rehearsed")
_NUMBER = re.compile(r"\d+")
_DUE = "%a %Y-%m-%d %H:%M:%S UTC"
"""How systemd-analyze writes a time."""
_TIMES = 10
"""Of the timer, from which its longest pause is told: a week of working days and the weekend."""


@dataclass(frozen=True, slots=True)
class Record:
    """What somebody found when he looked at a backup again."""

    ok: bool
    at: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """A backup as it lies at one place. `bytes` of the encrypted file, 0 when it is missing."""

    id: str
    host: str
    made: datetime
    revision: int
    keys: int
    db_bytes: int
    bytes: int
    complete: bool
    """Whether the file has the length that it should have."""
    verified: Record | None = None
    rehearsed: Record | None = None

    @property
    def good(self) -> bool:
        """Complete, and not found damaged. Its digest was compared when it was written there."""
        return self.complete and (self.verified is None or self.verified.ok)

    @property
    def proven(self) -> bool:
        """Whether it has been restored in a rehearsal."""
        return self.rehearsed is not None and self.rehearsed.ok


@dataclass(frozen=True, slots=True)
class LastRun:
    """How the last backup of a host went. `failed_targets` says why, by name."""

    at: str
    ok: bool
    id: str
    error: str
    failed_targets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackupsSeen:
    """What a host knows. `places` are by name, and missing where nothing was ever seen."""

    places: Mapping[str, tuple[Copy, ...]] = field(default_factory=dict)
    last: LastRun | None = None
    next: str = ""
    """When the timer fires next, as systemd says it; empty without a timer."""
    pause: timedelta | None = None
    """The longest between two times of the timer, of its next ones; None without a timer."""


@dataclass(frozen=True, slots=True)
class HostBackups(Single[BackupsSeen]):
    """The files of `folder`, of `seen` (a folder for each target), the note of the last run, and the timer."""

    folder: PurePosixPath
    seen: PurePosixPath
    last: PurePosixPath
    timer: str

    @property
    def command(self) -> str:
        return f"""\
printf 'next %s\\n' "$(systemctl show --value --property=NextElapseUSecRealtime {self.timer})"
schedule=$(systemctl show --value --property=TimersCalendar {self.timer})
schedule=$(echo "$schedule" | sed -n 's/^{{ OnCalendar=\\(.*\\) ; .*/\\1/p')
[ -z "$schedule" ] || TZ=UTC LC_ALL=C systemd-analyze calendar --iterations={_TIMES} -- "$schedule" |
  sed -nE 's/^ *(Next elapse|Iter[a-z.]* #[0-9]+): /due /p'
printf 'last %s\\n' "$(cat {self.last})"
show() {{
  cd "$1" || return
  printf 'place %s\\n' "$2"
  grep -HEs '^[{{]' -- *Z-*.json | sed 's/^/record /'
}}
( show {self.folder} {LOCAL}; stat --format='size %s %n' -- *.tar.age )
for folder in {self.seen}/*/; do
  ( show "$folder" "$(basename "$folder")"; sed 's/^/size /' .sizes )
done"""

    def value(self, output: bytes) -> BackupsSeen:
        places: dict[str, _Place] = {}
        last, following, place = None, "", _Place()
        due: list[datetime] = []
        for line in output.decode(errors="replace").splitlines():
            word, _, rest = line.partition(" ")
            if word == "next":
                following = rest
            elif word == "due":
                due += _times(rest)
            elif word == "last":
                last = _last(rest)
            elif word == "place":
                place = places.setdefault(rest, _Place())
            elif word == "size":
                size, _, name = rest.partition(" ")
                place.sizes[name] = int(size) if _NUMBER.fullmatch(size) else 0
            elif word == "record":
                name, _, content = rest.partition(":")
                place.records[name] = content
        pause = max((later - sooner for sooner, later in pairwise(due)), default=None)
        return BackupsSeen({name: place.copies() for name, place in places.items()}, last, following, pause)


@dataclass(slots=True)
class _Place:
    """The files of a place, while they are read."""

    sizes: dict[str, int] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)

    def copies(self) -> tuple[Copy, ...]:
        """The newest first."""
        found = [self._copy(match["id"]) for name in self.records if (match := _INDEX.fullmatch(name))]
        return tuple(sorted((copy for copy in found if copy), key=lambda copy: (copy.made, copy.id), reverse=True))

    def _copy(self, backup: str) -> Copy | None:
        said = _object(self.records[f"{backup}.json"])
        size = self.sizes.get(f"{backup}.tar.age", 0)
        try:
            return Copy(
                id=backup,
                host=str(said["host"]),
                made=datetime.fromisoformat(str(said["made"])).astimezone(UTC),
                revision=int(said["revision"]),
                keys=int(said["keys"]),
                db_bytes=int(said["db_bytes"]),
                bytes=size,
                complete=size > 0 and size == said["file"]["bytes"],
                **{kind: _record(self.records.get(f"{backup}.{kind}.json")) for kind in _KINDS},
            )
        except (LookupError, ValueError, TypeError):
            return None  # not written by the program: nobody can rely on it


def _times(text: str) -> list[datetime]:
    """The time that systemd says; none for one that never comes."""
    with suppress(ValueError):
        return [datetime.strptime(text, _DUE).replace(tzinfo=UTC)]
    return []


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _record(text: str | None) -> Record | None:
    said = _object(text or "")
    return Record(said.get("ok") is True, str(said.get("at", "")), str(said.get("error") or "")) if said else None


def _last(text: str) -> LastRun | None:
    said = _object(text)
    if not said:
        return None
    targets = said.get("targets")
    failed = {name: str(each.get("error")) for name, each in targets.items() if each.get("error")} if targets else {}
    return LastRun(
        str(said.get("at", "")), said.get("ok") is True, str(said.get("id", "")), str(said.get("error") or ""), failed
    )
