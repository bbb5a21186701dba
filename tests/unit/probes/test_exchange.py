"""Every way in which a server fails a request is seen, and named; and what any client mends by itself is no failure."""

import asyncio
import socket
import ssl
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from kbootstrap.probes import exchange
from kbootstrap.probes.exchange import Kept, Outcome, Way, ask_anew
from kbootstrap.probes.line import Line, opened, plugged
from kbootstrap.probes.spec import Target
from kbootstrap.probes.tls import context
from tests.unit.probes.server import OK, SHUTTING_DOWN, Asked, React, Reaction, Server, answer, serving

PATIENCE = 10.0
"""More than a busy machine needs."""

SHORT = 0.4
"""For what never comes."""

STATUS = b'{"kind": "Status", "message": "etcdserver:\\n leader changed"}'


def way(server: Server) -> Way:
    credentials = server.credentials
    return Way(server.target, context(credentials), credentials.server_name)


async def anew(way: Way, body: bytes = b"", patience: float = PATIENCE) -> Outcome:
    return await ask_anew(way, way.request("/x", body), time.monotonic() + patience)


async def kept(way: Way, times: int = 2, patience: float = PATIENCE) -> list[Outcome]:
    """Requests one after the other on a connection that is kept."""
    line = Kept(way)
    outcomes = []
    for _ in range(times):
        outcomes.append(await line.ask(way.request("/x", keep=True), time.monotonic() + patience))
        await asyncio.sleep(0.05)
    line.close()
    return outcomes


def once(react: Reaction, *, on: int = 0) -> React:
    """A server that misbehaves for request number `on` of its first connection only."""
    return lambda asked: react if (asked.connection, asked.number) == (0, on) else OK


def test_a_good_answer(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert asyncio.run(anew(way(server))) == Outcome(body=b"{}")
        assert asyncio.run(anew(way(server), b'{"a": 1}')) == Outcome(body=b"{}")
    assert [(asked.connection, asked.method, asked.body) for asked in server.asked] == [
        (0, "GET", b""),
        (1, "POST", b'{"a": 1}'),
    ]


@pytest.mark.parametrize(
    ("reaction", "reason", "maybe"),
    [
        (Reaction(answer("500 Oops", STATUS)), "status 500: etcdserver: leader changed", True),
        (Reaction(answer("503 No", b"no upstream\n")), "status 503: no upstream", True),
        (Reaction(answer("403 No", b"")), "status 403", False),
        (Reaction(answer("302 Elsewhere", b"")), "status 302", False),
        (Reaction(answer("409 Conflict", b"")), "status 409", False),
        (SHUTTING_DOWN, "status 429: {}", False),
        (Reaction(then="close"), "closed by the server, without an answer", True),
        (Reaction(b"HTTP/1.1 2", "close"), "closed by the server, in the middle of an answer", True),
        (Reaction(answer()[:-1], "close"), "closed by the server, in the middle of an answer", True),
        (Reaction(then="reset"), "connection reset by peer, without an answer", True),
        (Reaction(b"SSH-2.0\r\n\r\n", "hang"), "not an HTTP answer: 'SSH-2.0', in the middle of an answer", True),
        (Reaction(then="hang"), "no answer", True),
    ],
)
def test_on_a_new_connection_everything_else_is_a_failure(
    tmp_path: Path, reaction: Reaction, reason: str, maybe: bool
) -> None:
    with serving(tmp_path, lambda _: reaction) as server:
        outcome = asyncio.run(anew(way(server), patience=SHORT if reason == "no answer" else PATIENCE))
    assert outcome.error.startswith(reason)
    assert (outcome.maybe, outcome.moved) == (maybe, "")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    outcome = asyncio.run(anew(Way(Target("127.0.0.1", port, "w1"))))
    assert outcome == Outcome("w1: connection refused", maybe=False)


def test_who_accepts_and_says_nothing_is_told_from_who_does_not_accept(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, serving(tmp_path) as server:
        target = Target("127.0.0.1", silent.getsockname()[1])
        there = Way(target, way(server).tls, "127.0.0.1")
        assert asyncio.run(anew(there, patience=SHORT)) == Outcome("connected, no TLS handshake")
        # Its backlog takes no more: a SYN that nobody answers.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((target.host, target.port))
        assert asyncio.run(anew(there, patience=SHORT)) == Outcome("no connection")
        for filler in fillers:
            filler.close()


def test_a_certificate_for_somebody_else(tmp_path: Path) -> None:
    with serving(tmp_path, names=[IPv4Address("127.0.0.9")]) as server:
        outcome = asyncio.run(anew(way(server)))
    assert outcome.error.startswith("connected, then in the TLS handshake: its certificate is refused: IP address mism")
    assert not outcome.maybe


def test_what_talks_no_tls(tmp_path: Path) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await writer.drain()

    async def ask(tls: ssl.SSLContext) -> Outcome:
        async with await asyncio.start_server(greet, "127.0.0.1", 0) as mail:
            return await anew(Way(Target("127.0.0.1", mail.sockets[0].getsockname()[1]), tls, "127.0.0.1"))

    with serving(tmp_path) as secure:
        outcome = asyncio.run(ask(context(secure.credentials)))
    assert outcome.error == "connected, then in the TLS handshake: TLS failed: wrong version number"


def test_a_connection_is_kept(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert asyncio.run(kept(way(server), 5)) == [Outcome(body=b"{}")] * 5
    assert server.connections == 1


@pytest.mark.parametrize(
    ("reaction", "reason"),
    [
        (SHUTTING_DOWN, "status 429: {}"),
        (Reaction(then="close"), "closed by the server, without an answer"),
        (Reaction(then="reset"), "connection reset by peer, without an answer"),
    ],
)
def test_a_request_on_a_connection_that_the_server_gives_up_is_moved(
    tmp_path: Path, reaction: Reaction, reason: str
) -> None:
    with serving(tmp_path, once(reaction, on=1)) as server:
        assert asyncio.run(kept(way(server), 3)) == [
            Outcome(body=b"{}"),
            Outcome(moved=reason, body=b"{}"),
            Outcome(body=b"{}"),
        ]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("reaction", "reason"),
    [
        (Reaction(answer("429 Too Many Requests", Retry_After="1")), "status 429: {}"),  # overload, not a shutdown
        (Reaction(answer("500 Oops", b"")), "status 500"),
        (Reaction(b"HTTP/1.1 200 OK\r\n", "close"), "closed by the server, in the middle of an answer"),
        (Reaction(then="hang"), "no answer"),
    ],
)
def test_other_failures_on_a_kept_connection_are_not_mended(tmp_path: Path, reaction: Reaction, reason: str) -> None:
    with serving(tmp_path, once(reaction, on=1)) as server:
        patience = SHORT if reason == "no answer" else PATIENCE
        first, second, third = asyncio.run(kept(way(server), 3, patience))
    assert (first.error, second.error, second.moved, third.error) == ("", reason, "", "")


def test_the_first_request_of_a_kept_connection_is_not_moved(tmp_path: Path) -> None:
    with serving(tmp_path, once(SHUTTING_DOWN)) as server:
        assert [outcome.error for outcome in asyncio.run(kept(way(server)))] == ["status 429: {}", ""]


def test_it_is_moved_once_only(tmp_path: Path) -> None:
    with serving(tmp_path, lambda asked: OK if (asked.connection, asked.number) == (0, 0) else SHUTTING_DOWN) as server:
        second = asyncio.run(kept(way(server)))[1]
    assert (second.error, second.moved) == ("status 429: {}", "status 429: {}")
    assert server.connections == 2


def test_a_connection_that_the_server_ends_while_nobody_asks_is_opened_anew_without_a_word(tmp_path: Path) -> None:
    with serving(tmp_path, once(Reaction(answer(Connection="close"), "close"))) as server:
        assert asyncio.run(kept(way(server), 2)) == [Outcome(body=b"{}")] * 2
    assert server.connections == 2


def test_a_write_that_was_carried_out_before_it_was_moved_is_acknowledged(tmp_path: Path) -> None:
    created: set[bytes] = set()

    def react(asked: Asked) -> Reaction:
        if asked.body in created:
            return Reaction(answer("409 Conflict"))
        created.add(asked.body)
        return Reaction(then="reset") if asked.body == b"b" else OK

    async def write() -> list[Outcome]:
        line = Kept(way(server))
        return [
            await line.ask(line._way.request("/x", body, keep=True), time.monotonic() + PATIENCE)
            for body in (b"a", b"b")
        ]

    with serving(tmp_path, react) as server:
        assert asyncio.run(write()) == [
            Outcome(body=b"{}"),
            Outcome(moved="connection reset by peer, without an answer"),
        ]


def test_a_write_that_was_moved_to_nobody_may_have_been_carried_out(tmp_path: Path) -> None:
    async def write(server: Server) -> Outcome:
        line = Kept(way(server))
        await line.ask(line._way.request("/x", b"a", keep=True), time.monotonic() + PATIENCE)
        server.listener.shutdown(socket.SHUT_RDWR)
        return await line.ask(line._way.request("/x", b"b", keep=True), time.monotonic() + PATIENCE)

    with serving(tmp_path, once(Reaction(then="reset"), on=1)) as server:
        outcome = asyncio.run(write(server))
    assert outcome.error
    assert outcome.maybe


def test_an_answer_that_is_late_holds_up_no_request(tmp_path: Path) -> None:
    async def ask() -> list[Outcome]:
        line = Kept(way(server))

        async def within(patience: float) -> Outcome:
            return await line.ask(line._way.request("/x", keep=True), time.monotonic() + patience)

        first = await within(PATIENCE)
        return [first, *await asyncio.gather(within(SHORT), within(PATIENCE)), await within(PATIENCE)]

    with serving(tmp_path, once(Reaction(then="hang"), on=1)) as server:
        good = Outcome(body=b"{}")
        assert asyncio.run(ask()) == [good, Outcome("no answer", maybe=True), good, good]
    assert [asked.connection for asked in server.asked] == [0, 0, 1, 1]


async def in_pairs(way: Way, times: int, pause: float = 0.0) -> None:
    line = Kept(way)
    for _ in range(times):
        asks = (line.ask(way.request("/x", keep=True), time.monotonic() + PATIENCE) for _ in range(2))
        assert await asyncio.gather(*asks) == [Outcome(body=b"{}")] * 2
        await asyncio.sleep(pause)


def test_a_slow_cluster_is_not_burdened_with_new_connections(tmp_path: Path) -> None:
    with serving(tmp_path, lambda _: Reaction(answer(), after=0.1)) as server:
        asyncio.run(in_pairs(way(server), 3))
    assert server.connections == 2


def test_only_so_many_handshakes_are_begun_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most = 0, 0

    async def slowly(*args: Any) -> Line:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.1)
        at_once -= 1
        return await opened(*args)

    async def ask(way: Way, times: int) -> list[Outcome]:
        line = Kept(way)
        deadline = time.monotonic() + PATIENCE
        return await asyncio.gather(*(line.ask(way.request("/x", keep=True), deadline) for _ in range(times)))

    monkeypatch.setattr(exchange, "opened", slowly)
    with serving(tmp_path) as server:
        assert asyncio.run(ask(way(server), 20)) == [Outcome(body=b"{}")] * 20
    assert most == exchange.MOST_HANDSHAKES
    lines = {asked.connection for asked in server.asked}
    assert len(lines) < 20, "who waited took a connection that was idle"


def test_who_does_not_get_its_turn_has_no_handshake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> Line:
        await asyncio.sleep(60)
        raise AssertionError

    async def ask(way: Way) -> list[Outcome]:
        line = Kept(way)
        deadline = time.monotonic() + SHORT
        return await asyncio.gather(*(line.ask(way.request("/x", keep=True), deadline) for _ in range(6)))

    monkeypatch.setattr(exchange, "opened", never)
    with serving(tmp_path) as server:
        assert asyncio.run(ask(way(server))) == [Outcome("connected, no TLS handshake")] * 6


def test_a_second_connection_that_nobody_needs_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "SPARE_SECONDS", 0.05)
    with serving(tmp_path, lambda _: Reaction(answer(), after=0.1)) as server:
        asyncio.run(in_pairs(way(server), 3, pause=0.1))
    assert server.connections == 4  # two, and a second one every time after that


def test_what_nobody_asked_for_ends_the_connection(tmp_path: Path) -> None:
    with serving(tmp_path, once(Reaction(answer() * 2))) as server:
        assert asyncio.run(kept(way(server), 2)) == [Outcome(body=b"{}")] * 2
    assert server.connections == 2


def test_a_handshake_that_ends_when_nobody_waits_any_more_leaves_no_trace(tmp_path: Path) -> None:
    """The number of its file descriptor belongs to the next connection, and asyncio knows that."""

    async def race(way: Way) -> None:
        for tenths in range(200):
            plug = await plugged(way.target)
            try:
                async with asyncio.timeout(tenths % 100 / 10_000):
                    (await opened(plug, way.tls, way.server_name)).close()
            except TimeoutError:
                pass

    with serving(tmp_path) as server:
        asyncio.run(race(way(server)))
