"""Does a host's sshd answer?"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.1
_CONNECT_SECONDS = 1
"""Then asked again: a lost SYN is repeated by the kernel at ever longer intervals while the host is long up."""
_BANNER = b"SSH-"


@dataclass(frozen=True, slots=True)
class Door:
    """Where a host's sshd listens; `jump` is the host to go through, as `ssh_config` knows it."""

    host: str
    address: str
    port: int
    jump: str | None
    ssh_config: Path


def answering(doors: Iterable[Door], *, timeout: float) -> set[str]:
    """The hosts whose sshd has greeted within `timeout` seconds; returns as soon as all have."""
    return asyncio.run(_answering(list(doors), timeout))


async def _answering(doors: list[Door], timeout: float) -> set[str]:
    answers = await asyncio.gather(*(_within(door, timeout) for door in doors))
    return {door.host for door, answered in zip(doors, answers, strict=True) if answered}


async def _within(door: Door, timeout: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while not await _greets(door):
                await asyncio.sleep(_POLL_SECONDS)
            return True
    return False


async def _greets(door: Door) -> bool:
    greets = _greets_through(door, door.jump) if door.jump else _greets_directly(door)
    with suppress(OSError):
        return await greets
    return False


async def _greets_directly(door: Door) -> bool:
    async with asyncio.timeout(_CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(door.address, door.port)
    try:
        return await reader.read(len(_BANNER)) == _BANNER
    finally:
        writer.close()


async def _greets_through(door: Door, jump: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        *("ssh", "-F", str(door.ssh_config), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"),
        *("-W", f"{door.address}:{door.port}", jump),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return process.stdout is not None and await process.stdout.read(len(_BANNER)) == _BANNER
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
