"""The undo of a fault, armed on the hosts themselves before anything is done: a lost control machine leaves no damage.

Each host has a folder with the undo as a script and a mark that says which drill it belongs to, and a timer of
systemd's that runs the script. Healing runs the same script and takes the timer and the folder away.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from kbootstrap.engine.lock import Owner
from kbootstrap.errors import KbootstrapError
from kbootstrap.facts.drills import FOLDER, MARK, UNDONE, DrillMark, Mark
from kbootstrap.facts.fact import read
from kbootstrap.steps.step import quote
from kbootstrap.transport.connection import Connection
from kbootstrap.workflows.parallel import on_all

UNIT = "kbootstrap-drill-undo"
UNDO = FOLDER / "undo.sh"

ARM_SECONDS = 30.0
AGAIN_SECONDS = 10.0
"""After which an undo that has failed is tried again by the host itself."""

HEAL_SECONDS = 300.0
"""For an undo to run: a member that joins again, and its apiserver that comes back, on a host that is busy."""


@dataclass(frozen=True, slots=True)
class Undo:
    """The undo of one host: shell that may be run again, also while it runs already."""

    script: str
    mark: Mark


def arm_script(undo: Undo, seconds: float) -> str:
    """Shell that arms an undo, or arms it anew: it runs by itself after so many seconds, until it succeeds."""
    mark = {"run": undo.mark.run, "drill": undo.mark.drill, "who": undo.mark.who, "since": undo.mark.since}
    return f"""\
set -eu
umask 077
mkdir -p {FOLDER}
rm -f {UNDONE}
cat >{UNDO} <<'END_OF_UNDO'
#!/bin/sh
# Written by kbootstrap: undoes what the drill {undo.mark.drill} does to this host.
{undo.script}
END_OF_UNDO
printf '%s\\n' {quote(json.dumps(mark))} >{MARK}
sync {UNDO} {MARK}
systemctl stop {UNIT}.timer 2>/dev/null || true
systemd-run --quiet --collect --unit={UNIT} --on-active={seconds:.0f}s --timer-property=AccuracySec=100ms \\
  --property=Restart=on-failure --property=RestartSec={AGAIN_SECONDS:.0f}s \\
  /bin/sh -c 'sh {UNDO} && date --utc +%FT%TZ >{UNDONE}'
"""


BY_ITSELF = "undone-by-itself"

HEAL = f"""\
set -u
[ -e {UNDO} ] || exit 0
systemctl stop {UNIT}.timer 2>/dev/null || true
[ ! -e {UNDONE} ] || echo {BY_ITSELF}
sh {UNDO} || exit 1
systemctl stop {UNIT}.service 2>/dev/null || true
rm -rf {FOLDER}
"""
"""Shell that undoes now what is armed, if anything is, and takes everything away again; it says whether the host had
done so before.
"""


def armed_by(owner: Owner, drill: str) -> Mark:
    """The mark of a drill."""
    return Mark(owner.run, drill, owner.who, owner.since)


def arm(connections: Mapping[str, Connection], undos: Mapping[str, Undo], seconds: float) -> None:
    """Arms every host's undo. Raises what is in the way: then nothing may be done."""
    on_all(
        {host: connections[host] for host in undos},
        lambda host, connection: connection.run_script(arm_script(undos[host], seconds), timeout=ARM_SECONDS).require(
            "the undo of the drill cannot be armed, so nothing is done"
        ),
    )


def heal(connections: Mapping[str, Connection]) -> tuple[str, ...]:
    """Undoes on every host what is armed there. Returns the hosts that had done so by themselves. Raises CommandFailed,
    or what is in the way.
    """
    said = on_all(
        connections,
        lambda _host, connection: connection.run_script(HEAL, timeout=HEAL_SECONDS).require(
            "what the drill did could not be undone", hint=f"on the host: sh -x {UNDO}"
        ),
    )
    return tuple(host for host, result in said.items() if BY_ITSELF in result.text.split())


def left_behind(connections: Mapping[str, Connection]) -> dict[str, Mark]:
    """What drills that were cut short have left on hosts."""
    mark = DrillMark()

    def look(_host: str, connection: Connection) -> Mark | None:
        try:
            return read(connection, (mark,))[mark]
        except KbootstrapError:
            return None

    seen = on_all(connections, look)
    return {host: found for host, found in seen.items() if found is not None}
