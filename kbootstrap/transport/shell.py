"""The command lines that are sent to a host.

Every command runs inside a small wrapper, because of what happens when nobody listens any more. sshd does not
end a command whose connection is lost: it would run on, unwatched, while a second run of the tool starts. So our
side keeps standard input open for as long as it wants the command to live, and the wrapper's watchdog, which
waits there, ends the command's process group as soon as it reads end-of-file: because the deadline passed, because
the tool was killed, or because the connection broke. (sshd gives each command a session, and so a process group, of
its own.) What a command has put into a session of its own, as daemons do, is left alone. Only a network that is cut
without a word leaves a command running, to its end or until sshd notices; the lock of the run, which hangs on the
same connection, is then held for as long, and keeps a second run out.

That leaves no place for the command's own input. It is therefore sent ahead with its length and checked for
completeness before the command starts: a script into a variable, other input into a file that has no name any more
when its content arrives. A command never sees half of its input, nothing in a script can eat the script, it shows
in no process list, and nothing stays behind after a power cut.
"""

import shlex
from dataclasses import dataclass
from enum import StrEnum

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What a restricted login shell or sudo's secure_path may lack."""

ENDING_SECONDS = 5
"""Between asking a command to end (TERM) and making it (KILL)."""

_ASK = ("-k", "-S", "-p", "")
"""-k: neither use nor write sudo's memory. It holds within one session, and sshd gives each command its own."""

_BEGIN = "kbootstrap-begin"
_END = "kbootstrap-end"

_SETTING = f"export LC_ALL=C PATH={PATH}; umask 022"

# Where sudo did not need the password after all, it is still there to be read: everything up to the marker is not
# for the command.
_SKIP_PASSWORD = f"""\
until [ "$line" = {_BEGIN} ]; do IFS= read -r line || exit 1; done"""

_WHOLE = f"""\
read -r line && [ "$line" = {_END} ] || {{ echo "the input did not arrive whole" >&2; exit 1; }}"""

# A script goes into a variable: no file, no second process, and not in any process list.
_TAKE = f"""\
script=$(head -c "$2")
{_WHOLE}"""

_STAGE = f"""\
file=$(mktemp -p /run kbootstrap.XXXXXXXX 2>/dev/null) || file=$(mktemp) || exit 1
exec 4<"$file" 5>"$file"
rm -f "$file"
head -c "$2" >&5 || exit 1
{_WHOLE}
exec 5>&-"""

# In a subshell of its own, where it may exit; without the arguments that are ours.
_EVAL = '(command=${script-$1}; unset script line file code; set --; eval "$command")'

_WATCH = f"""\
exec 3<&0 </dev/null
{{ read -r line <&3; trap "" TERM; kill -TERM 0; sleep {ENDING_SECONDS}; kill -KILL 0; }} >/dev/null 2>&1 &
exec 3<&-"""

_FINISH = """\
code=$?
kill -KILL $! 2>/dev/null
exit $code"""

_WRITE = f"""\
new=$(mktemp -p "${{1%/*}}/" ".${{1##*/}}.XXXXXXXX") || exit 1
trap 'rm -f "$new"; exit 1' HUP INT TERM
if head -c "$2" >"$new" && read -r line && [ "$line" = {_END} ] && chmod "$3" "$new" && mv -fT "$new" "$1"
then exit 0; fi
rm -f "$new"
echo "$1: not written" >&2
exit 1"""

_COMMAND = "\n".join((_WATCH, _EVAL, _FINISH))
_COMMAND_WITH_INPUT = "\n".join((_STAGE, _WATCH, f"{_EVAL} <&4 4<&-", _FINISH))
_SCRIPT = "\n".join((_TAKE, _WATCH, _EVAL, _FINISH))
_HELD = 'exec sh -c "$1"'


class Become(StrEnum):
    """How a login's commands become root's."""

    ALREADY = "already"
    SUDO = "sudo"
    SUDO_PASSWORD = "sudo-password"  # noqa: S105 - a way, not a password


@dataclass(frozen=True, slots=True)
class Invocation:
    """A line for the login's shell, and what goes before and after the payload on its standard input."""

    line: str
    before: bytes = b""
    after: bytes = b""
    closes: bool = False
    """Whether the end of the input is told at once; otherwise it means that the command is to end."""


@dataclass(frozen=True, slots=True)
class Shell:
    """Makes invocations for one login."""

    become: Become = Become.ALREADY
    password: bytes = b""

    def __repr__(self) -> str:
        return f"Shell({self.become})"

    def proof(self) -> Invocation:
        """Prints 0 where commands run as root. Sends the password once: a wrong one must not lock the account."""
        plain = ("/bin/sh", "-c", "id -u")
        match self.become:
            case Become.ALREADY:
                return Invocation(shlex.join(("exec", *plain)))
            case Become.SUDO:
                return Invocation(_sudo("-n", *plain))
            case Become.SUDO_PASSWORD:
                return Invocation(_sudo(*_ASK, *plain), self.password + b"\n", closes=True)

    def command(self, command: str) -> Invocation:
        """Runs a command line; its standard input is empty."""
        return self._invoke(_COMMAND, command)

    def command_with_input(self, command: str, size: int) -> Invocation:
        """Runs a command line whose standard input is the `size` bytes that follow."""
        return self._invoke(_COMMAND_WITH_INPUT, command, size)

    def script(self, size: int) -> Invocation:
        """Runs the `size` bytes that follow as a script; its standard input is empty."""
        return self._invoke(_SCRIPT, "", size)

    def held(self, command: str) -> Invocation:
        """Runs a command line whose standard input stays open until we, or the connection, end."""
        return self._invoke(_HELD, command)

    def write(self, path: str, size: int, mode: int) -> Invocation:
        """Writes the `size` bytes that follow to `path`: whole, or not at all."""
        return self._invoke(_WRITE, path, size, f"{mode:04o}")

    def _invoke(self, body: str, *arguments: str | int) -> Invocation:
        skip = [_SKIP_PASSWORD] if self.become is Become.SUDO_PASSWORD else []
        words = ["/bin/sh", "-c", "\n".join((_SETTING, *skip, body)), "sh", *map(str, arguments)]
        after = f"{_END}\n".encode() if len(arguments) > 1 else b""
        match self.become:
            case Become.ALREADY:
                return Invocation(shlex.join(["exec", *words]), after=after)
            case Become.SUDO:
                return Invocation(_sudo("-n", *words), after=after)
            case Become.SUDO_PASSWORD:
                before = self.password + f"\n{_BEGIN}\n".encode()
                return Invocation(_sudo(*_ASK, *words), before, after)


def _sudo(*words: str) -> str:
    """Through env: sudo may lie outside a restricted PATH, and its messages are to be in a known language."""
    return shlex.join(["exec", "/usr/bin/env", "LC_ALL=C", f"PATH={PATH}", "sudo", *words])
