"""One command on a channel: its input sent, its output collected, its deadline kept."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass

import tenacity
from paramiko import Channel, SSHException, Transport

from kbootstrap.errors import Unreachable
from kbootstrap.transport.capture import Capture, Lines
from kbootstrap.transport.shell import ENDING_SECONDS, Invocation

CHUNK = 128 * 1024
"""Bytes read or sent at once: a few SSH packets."""

LINGER_SECONDS = 3.0
"""How long output may still be on its way after the exit code, when something in the background holds it open."""

SESSION_PATIENCE = 10.0
"""Seconds to wait for a free session."""

STOPPING_SECONDS = ENDING_SECONDS + 2.0
"""How long a command that was told to stop may take to be gone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process ended. `exit_code` is None when it did not say: a signal, or the connection was lost."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    truncated: bool
    timed_out: bool

    @property
    def output(self) -> str:
        """Both streams, for people."""
        parts = (part.decode(errors="replace").strip() for part in (self.stdout, self.stderr))
        return "\n".join(part for part in parts if part)


def execute(
    transport: Transport,
    invocation: Invocation,
    payload: Iterable[bytes],
    timeout: float,
    on_line: Callable[[str], None] | None = None,
) -> Outcome:
    """Runs an invocation with its payload, for at most `timeout` seconds. Raises Unreachable (without the host)."""
    with _lost_connection(), closing(_session(transport)) as channel:
        channel.exec_command(invocation.line)
        feed = itertools.chain((invocation.before,), payload, (invocation.after,))
        return Process(channel, timeout, on_line).finish(feed, closes=invocation.closes)


def start_held(transport: Transport, invocation: Invocation, timeout: float) -> tuple[Channel, str]:
    """Starts an invocation that waits on its input; returns its channel and its first line.

    Raises TimeoutError when no line comes within `timeout` seconds, and Unreachable (without the host).
    """
    with _lost_connection(), ExitStack() as stack:
        channel = stack.enter_context(closing(_session(transport)))
        channel.settimeout(timeout)
        channel.exec_command(invocation.line)
        channel.sendall(invocation.before)
        answer = b""
        while b"\n" not in answer and (chunk := channel.recv(CHUNK)):
            answer += chunk
        stack.pop_all()
    return channel, answer.partition(b"\n")[0].decode(errors="replace")


def end_held(channel: Channel) -> None:
    """Ends its input, and waits for the end of the command: what it held is free again."""
    with suppress(SSHException, OSError, EOFError), closing(channel):
        channel.shutdown_write()
        channel.status_event.wait(STOPPING_SECONDS)


@contextmanager
def _lost_connection() -> Iterator[None]:
    """Turns what paramiko raises into Unreachable."""
    try:
        yield
    except _SessionRefused as error:
        raise Unreachable(
            f"its sshd refuses another session: {error}",
            hint="raise MaxSessions in its sshd_config (10 is usual)",
        ) from error
    except TimeoutError:
        raise
    except (SSHException, EOFError, OSError) as error:
        raise Unreachable(f"the connection was lost: {str(error) or 'the host closed it'}") from error


class _SessionRefused(Exception):
    """sshd opens no further channel on a connection that is well."""


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(_SessionRefused),
    wait=tenacity.wait_random_exponential(multiplier=0.05, max=1.0),
    stop=tenacity.stop_after_delay(SESSION_PATIENCE),
    reraise=True,
)
def _session(transport: Transport) -> Channel:
    """A channel; waits where sshd allows fewer than we use, or has not yet counted down."""
    try:
        return transport.open_session()
    except SSHException as error:
        # Not always a ChannelException: of two refusals at once, paramiko knows the reason of one.
        if transport.is_active():
            raise _SessionRefused(str(error)) from error
        raise


class _Arrivals(threading.Event):
    """Set whenever output arrives on either stream, and at the end of both; `take` resets it.

    Channel.fileno() would do for one stream. For two, paramiko loses a wake-up now and then.
    """

    def clear(self) -> None:
        """For paramiko, which clears it when one stream is empty: the other may not be."""

    def take(self, timeout: float) -> None:
        """Waits for it, and resets it before what has arrived is read."""
        self.wait(timeout)
        super().clear()


class Process:
    """A command that was started on `channel`."""

    def __init__(self, channel: Channel, timeout: float, on_line: Callable[[str], None] | None = None) -> None:
        self._channel = channel
        self._arrivals = _Arrivals()
        channel.in_buffer.set_event(self._arrivals)
        channel.in_stderr_buffer.set_event(self._arrivals)
        self._deadline = time.monotonic() + timeout
        self._timed_out = False
        self._stdout = Capture()
        self._stderr = Capture()
        self._lines = Lines(on_line) if on_line else None

    def finish(self, feed: Iterable[bytes], *, closes: bool = False) -> Outcome:
        """Sends the input, reads until the process has ended, or past the deadline makes it end.

        The wrapper on the host (see shell.py) reads all input before it prints anything, so that sending first and
        reading then cannot block both sides.
        """
        try:
            self._send(feed)
            if closes:
                self._channel.shutdown_write()
        except TimeoutError:
            self._stop()
        except OSError:
            pass  # It ended early; its output says why.
        ended = self._read()
        if not ended and not self._timed_out:
            self._stop()
            self._read()
        if self._lines:
            self._lines.finish()
        code = self._channel.exit_status if self._channel.exit_status_ready() else -1
        return Outcome(
            None if code < 0 else code,
            self._stdout.content(),
            self._stderr.content(),
            self._stdout.truncated or self._stderr.truncated,
            self._timed_out,
        )

    def _send(self, feed: Iterable[bytes]) -> None:
        for part in feed:
            view = memoryview(part)
            for start in range(0, len(view), CHUNK):
                # A time already past would mean "do not block" to paramiko, which raises the same TimeoutError.
                self._channel.settimeout(max(0.0, self._deadline - time.monotonic()))
                self._channel.sendall(bytes(view[start : start + CHUNK]))

    def _stop(self) -> None:
        """End-of-file tells the wrapper to end the command; see shell.py."""
        self._timed_out = True
        self._deadline = time.monotonic() + STOPPING_SECONDS
        self._channel.shutdown_write()

    def _read(self) -> bool:
        """Reads until the end of both streams and the exit code; False when the deadline came first."""
        channel = self._channel
        quiet_since = time.monotonic()
        while not channel.eof_received and not channel.closed:
            now = time.monotonic()
            if channel.exit_status_ready() and now - quiet_since > LINGER_SECONDS:
                return True
            if now >= self._deadline:
                return False
            self._arrivals.take(min(self._deadline - now, LINGER_SECONDS))
            while self._take() and time.monotonic() < self._deadline:
                quiet_since = time.monotonic()
        while self._take():
            pass
        return channel.status_event.wait(max(0.0, self._deadline - time.monotonic()))

    def _take(self) -> bool:
        """Takes some of what has arrived, if anything."""
        out = self._channel.recv(CHUNK) if self._channel.recv_ready() else b""
        err = self._channel.recv_stderr(CHUNK) if self._channel.recv_stderr_ready() else b""
        self._stdout.add(out)
        self._stderr.add(err)
        if self._lines:
            self._lines.add(out)
        return bool(out or err)
