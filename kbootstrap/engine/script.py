"""One shell script for all changes of a task, and what its output says about how far it came."""

from collections.abc import Sequence
from dataclasses import dataclass

from kbootstrap.facts.fact import at_scale
from kbootstrap.steps.step import Change

_PRELUDE = """\
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
"""

_GENTLY = """\
renice -n 19 -p $$ >/dev/null
echo 19 2>/dev/null >/proc/self/autogroup || :
ionice -c 3 -p $$ 2>/dev/null || :
"""
"""Everything that follows runs only when nothing else wants to, as far as the kernel has what that takes.

Where it groups processes by session, niceness counts between the groups (sched(7)).
"""

_IS_WHOLE = """\
is_whole() {
  if command -v openssl >/dev/null; then sum=$(openssl dgst -sha256 -r "$2"); else sum=$(sha256sum "$2"); fi
  [ "${sum%% *}" = "$1" ]
}
"""
"""Whether a file has a digest; OpenSSL is four times as fast where it is there."""

_FETCH_HTTP = """\
fetch() {{
  for try in 1 2 3; do
    if curl --silent --show-error --fail --connect-timeout 5 --max-time {timeout} -o "$2" "{base}/$1" &&
      is_whole "$1" "$2"; then return 0; fi
    rm -f "$2"
  done
  echo "the artifact with sha256 $1 did not arrive whole from {base}" >&2
  return 1
}}
"""

_FETCH_PUSHED = """\
fetch() {{
  is_whole "$1" "{base}/$1" || {{ echo "the artifact with sha256 $1 did not arrive whole" >&2; return 1; }}
  mv -fT "{base}/$1" "$2"
}}
"""

FETCH_TIMEOUT = 600
"""Seconds one artifact may take: 100 MB over a line of 1.5 Mbit/s."""


def fetch_over_http(base: str) -> str:
    """A shell function `fetch DIGEST FILE` that takes artifacts from a depot."""
    return _IS_WHOLE + _FETCH_HTTP.format(base=base, timeout=FETCH_TIMEOUT)


def fetch_from_folder(base: str) -> str:
    """A shell function `fetch DIGEST FILE` that takes artifacts from where they were pushed to."""
    return _IS_WHOLE + _FETCH_PUSHED.format(base=base)


@dataclass(frozen=True, slots=True)
class TaskScript:
    """The script of a task. `marker` begins the lines in which it reports."""

    text: str
    marker: str


def task_script(
    changes: Sequence[Change], fetch: str, marker: str, *, gentle: bool = False, scale: float = 1.0
) -> TaskScript:
    """Every change in a subshell of its own; the script stops at the first that fails.

    `scale` is the factor for what changes have `scaled`.
    """
    parts = [_PRELUDE, at_scale(scale), _GENTLY if gentle else "", fetch]
    for number, change in enumerate(changes):
        parts.append(f"(\n{change.script}\n) </dev/null\nprintf '%s\\n' '{marker} {number}'\n")
    return TaskScript("".join(parts), marker)


def finished(line: str, marker: str) -> int | None:
    """The number of the change that a line of output reports as made."""
    head, _, number = line.rstrip().partition(" ")
    return int(number) if head == marker and number.isdigit() else None
