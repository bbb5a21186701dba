"""A watch goes on where it broke, and says when it did; the server is real, and plays what goes wrong."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from kbootstrap.probes.exchange import Way
from kbootstrap.probes.spec import Target
from kbootstrap.probes.watch import Watching

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Serve = Callable[[int, str, asyncio.StreamWriter], Awaitable[None]]


def event(name: str, version: int, kind: str = "ADDED") -> bytes:
    body = {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": str(version)}}}
    return chunk(json.dumps(body).encode() + b"\n")


def listed(version: int, *names: str) -> bytes:
    body = {"metadata": {"resourceVersion": str(version)}, "items": [{"metadata": {"name": name}} for name in names]}
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def watch(serve: Serve, *, until: int, patience: float = 5.0) -> tuple[list[str], list[str], list[str]]:
    """What was seen, why it broke, and what was asked for, until so many events.

    The first list is empty, of version 0; `serve` answers everything after it, and counts from one.
    """
    seen: list[str] = []
    cuts: list[str] = []
    asked: list[str] = []

    async def run() -> None:
        enough = asyncio.Event()

        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1].decode())
            if len(asked) == 1:
                await _send(writer, listed(0))
            else:
                await serve(len(asked) - 1, asked[-1], writer)

        def note(_at: float, name: str) -> None:
            seen.append(name)
            if len(seen) >= until:
                enough.set()

        server = await asyncio.start_server(client, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        way = Way(Target("127.0.0.1", port))
        task = asyncio.create_task(Watching(way, "/objects", patience, note, lambda _at, why: cuts.append(why)).run())
        await asyncio.wait_for(enough.wait(), 20)
        task.cancel()
        server.close()

    asyncio.run(run())
    assert asked[0] == "/objects"
    return seen, cuts, asked[1:]


async def _send(writer: asyncio.StreamWriter, *parts: bytes) -> None:
    writer.write(b"".join(parts))
    await writer.drain()


def test_events_as_they_come() -> None:
    async def serve(_number: int, _path: str, writer: asyncio.StreamWriter) -> None:
        await _send(writer, HEAD, event("a", 1), event("a", 2, "MODIFIED"))
        for part in (event("b", 3)[:7], event("b", 3)[7:]):  # in two pieces
            await _send(writer, part)
            await asyncio.sleep(0.05)

    assert watch(serve, until=2) == (["a", "b"], [], ["/objects?watch=1&resourceVersion=0"])


def test_an_event_in_two_chunks_and_two_events_in_one() -> None:
    one, other = (event(name, 1).split(b"\r\n")[1] for name in ("a", "b"))

    async def serve(_number: int, _path: str, writer: asyncio.StreamWriter) -> None:
        await _send(writer, HEAD, chunk(one[:9]), chunk(one[9:] + other + other[:5]), chunk(other[5:]))

    assert watch(serve, until=3)[:2] == (["a", "b", "b"], [])


def test_it_goes_on_after_the_last_event_it_has_seen() -> None:
    async def serve(number: int, _path: str, writer: asyncio.StreamWriter) -> None:
        await _send(writer, HEAD, event(f"n{number}", number))
        writer.close()

    seen, cuts, asked = watch(serve, until=3)
    assert seen == ["n1", "n2", "n3"]
    assert cuts[:2] == ["closed by the server"] * 2
    assert asked[1:] == ["/objects?watch=1&resourceVersion=1", "/objects?watch=1&resourceVersion=2"]


def test_a_server_that_falls_silent_is_given_up() -> None:
    async def serve(number: int, _path: str, writer: asyncio.StreamWriter) -> None:
        await _send(writer, HEAD, event(f"n{number}", number))

    seen, cuts, _ = watch(serve, until=2, patience=0.2)
    assert (seen, cuts[0]) == (["n1", "n2"], "silent")


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 410 Gone\r\n\r\n", HEAD + chunk(b'{"type": "ERROR", "object": {"code": 410}}\n')],
    ids=["at once", "as an event"],
)
def test_what_is_too_old_is_listed_anew(answer: bytes) -> None:
    """By a list, whose version stands for all of it: what a watch tells at its beginning has no order to go on from."""
    answers = {1: HEAD + event("n1", 1), 2: answer, 3: listed(9, "n1", "n7", "n5"), 4: HEAD + event("n10", 10)}

    async def serve(number: int, _path: str, writer: asyncio.StreamWriter) -> None:
        await _send(writer, answers[number])
        if number < len(answers):
            writer.close()

    seen, cuts, asked = watch(serve, until=5)
    assert seen == ["n1", "n1", "n7", "n5", "n10"]
    assert cuts == ["closed by the server", "status 410"]
    assert asked[1:] == ["/objects?watch=1&resourceVersion=1", "/objects", "/objects?watch=1&resourceVersion=9"]


def test_a_list_that_fails_is_asked_for_again() -> None:
    answers = {
        1: b"HTTP/1.1 410 Gone\r\n\r\n",
        2: b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
        3: listed(9, "n1"),
    }

    async def serve(number: int, _path: str, writer: asyncio.StreamWriter) -> None:
        await _send(writer, answers[number])
        writer.close()

    seen, cuts, _ = watch(serve, until=1)
    assert (seen, cuts) == (["n1"], ["status 410", "status 429"])
