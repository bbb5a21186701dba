"""One run at a time: a lock on the hosts themselves, so that two people on two machines cannot both change them.

It is an flock held by a process at the end of an SSH session. When the owner or its network dies, the session ends
and the lock with it: there is nothing to clean up after a `kill -9`. A note beside it says who holds it.
"""

import getpass
import json
import secrets
import shlex
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from kbootstrap.engine.journal import now
from kbootstrap.errors import CommandFailed, Locked
from kbootstrap.transport.connection import Connection

FLOCK = "/run/kbootstrap/lock"
NOTE = "/run/kbootstrap/lock.json"

LETS_GO_SECONDS = 3
"""In these a host notices that the one who held the lock is dead: another run begins right after a `kill -9`."""

LONGEST_RUN = timedelta(hours=6)
"""After this a lock ends by itself, whatever its owner does."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock: `user@machine`, the run, what it does, since when (ISO 8601, UTC)."""

    who: str
    run: str
    command: str
    since: str

    def age(self, now: datetime) -> timedelta:
        """How long it has been held."""
        return now - datetime.fromisoformat(self.since)


def new_owner(command: str) -> Owner:
    """This user on this machine, at the beginning of a run of `command`."""
    run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    return Owner(f"{getpass.getuser()}@{socket.gethostname()}", run, command, now())


@contextmanager
def locked(connections: Mapping[str, Connection], owner: Owner) -> Iterator[None]:
    """Holds the lock on all hosts. Raises Locked with the other's name and age when any host has one already."""
    command = _hold_command(owner)
    holds = [ExitStack() for _ in connections]
    most = max(1, len(connections))
    try:
        with ThreadPoolExecutor(most) as pool:
            taken = [
                pool.submit(_hold, connection, command, hold)
                for connection, hold in zip(connections.values(), holds, strict=True)
            ]
        for future in taken:
            future.result()
        yield
    finally:
        with ThreadPoolExecutor(most) as pool:
            list(pool.map(ExitStack.close, holds))


def _hold(connection: Connection, command: str, stack: ExitStack) -> None:
    answer = stack.enter_context(connection.hold(command))
    if answer.strip() == "held":
        return
    raise _refused(connection.name, answer)


def _hold_command(owner: Owner) -> str:
    note = json.dumps(asdict(owner))
    seconds = int(LONGEST_RUN.total_seconds())
    return (
        f"umask 022; mkdir -p {FLOCK.rpartition('/')[0]}; exec 9>>{FLOCK}; "
        f"if flock --timeout {LETS_GO_SECONDS} 9; then printf '%s %s' $$ {shlex.quote(note)} >{NOTE}; echo held; "
        f"timeout {seconds} cat >/dev/null 9>&-; rm -f {NOTE}; "
        f"else printf 'busy '; cat {NOTE} 2>/dev/null; echo; fi"
    )


def parse_note(text: str) -> tuple[int, Owner] | None:
    """The process and the owner in a lock's note; None when it cannot be understood."""
    pid, _, note = text.strip().partition(" ")
    try:
        return int(pid), Owner(**json.loads(note))
    except (ValueError, TypeError):
        return None


def _refused(host: str, answer: str) -> Exception:
    head, _, rest = answer.strip().partition(" ")
    if head != "busy":
        return CommandFailed("the lock could not be taken", host=host, output=answer or "no answer")
    note = parse_note(rest)
    if note is None:
        return Locked("another run is about to change this cluster", host=host, hint="try again in a moment")
    owner = note[1]
    age = int(owner.age(datetime.now(UTC)).total_seconds())
    return Locked(
        f"{owner.who} is running `{owner.command}` on this cluster, since {age} s (run {owner.run})",
        host=host,
        hint="wait for it to end; if it is stuck, `kbootstrap unlock` ends its hold",
    )


UNLOCK = f"""\
[ -e {NOTE} ] || {{ echo 'not locked'; exit 0; }}
read -r pid note <{NOTE}
[ ! -e {FLOCK} ] || ! flock --nonblock {FLOCK} true || {{ rm -f {NOTE}; echo 'not locked'; exit 0; }}
[ -d "/proc/$pid" ] && pkill -TERM -P "$pid" && sleep 0.1
kill -TERM "$pid" 2>/dev/null || true
rm -f {NOTE}
echo "released: $note"
"""
"""Shell that ends the holding process of a host's lock, whoever it belongs to."""
