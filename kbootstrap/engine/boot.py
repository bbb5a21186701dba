"""Waiting for a host that boots anew."""

import time

from tenacity import RetryError, Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from kbootstrap.errors import CheckFailed, CommandFailed, KbootstrapError, Unreachable
from kbootstrap.facts.boot import BOOT_ID
from kbootstrap.transport.connection import Connection

ASK_SECONDS = 10.0
PAUSE_SECONDS = 0.5
"""Between two questions: a host that goes down does not say so."""


def boot_id(connection: Connection) -> str:
    """Which boot the host runs since."""
    said = connection.run(f"cat {BOOT_ID}", timeout=ASK_SECONDS)
    return said.require("the host does not say which boot it runs since").text


def booted(connection: Connection, before: str, timeout: float) -> None:
    """Waits until the host has booted since `before`, and connects to it anew. Raises CheckFailed."""
    deadline = time.monotonic() + timeout

    def ask() -> str:
        try:
            return boot_id(connection)
        except KbootstrapError:
            connection.reconnect(timeout=max(1.0, deadline - time.monotonic()))
            return boot_id(connection)

    attempts = Retrying(
        retry=retry_if_result(lambda now: now == before) | retry_if_exception_type((Unreachable, CommandFailed)),
        stop=stop_after_delay(timeout),
        wait=wait_fixed(PAUSE_SECONDS),
    )
    try:
        attempts(ask)
    except RetryError as error:
        last = error.last_attempt.exception()
        raise CheckFailed(
            f"has not come back from its boot within {timeout:.0f} s",
            host=connection.name,
            output=str(last) if last else "it answers, and still runs since the boot before",
            hint="look at its console; once it answers, run the same command again",
        ) from last
