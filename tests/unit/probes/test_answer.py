"""HTTP/1.1 answers, however the network cuts them into pieces."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.probes.answer import Answer, AnswerReader, BadAnswer

BODIES = st.binary(max_size=60)


def with_length(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(body: bytes, trailer: bytes = b"") -> bytes:
    chunks = b"".join(
        b"%x;a=b\r\n%s\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7)
    )
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailer + b"\r\n"


def with_a_hint(body: bytes) -> bytes:
    return b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n" + with_length(body)


def with_a_trailer(body: bytes) -> bytes:
    return in_chunks(body, b"X-Sum: 1\r\n")


@given(
    answers=st.lists(
        st.tuples(st.sampled_from([with_length, in_chunks, with_a_hint, with_a_trailer]), BODIES), max_size=4
    ),
    sizes=st.lists(st.integers(1, 50), min_size=1),
)
def test_pieces_do_not_matter(answers: list[tuple[Callable[[bytes], bytes], bytes]], sizes: list[int]) -> None:
    stream = b"".join(write(body) for write, body in answers)
    reader, at, number = AnswerReader(), 0, 0
    found: list[Answer] = []
    while at < len(stream):
        size = sizes[number % len(sizes)]
        found += reader.feed(stream[at : at + size])
        at, number = at + size, number + 1
    assert [answer.body for answer in found] == [body for _, body in answers]
    assert not reader.begun


@given(body=BODIES, missing=st.integers(1, 100))
def test_what_is_not_whole_is_no_answer(body: bytes, missing: int) -> None:
    for stream in (with_length(body), in_chunks(body)):
        part = stream[: max(0, len(stream) - missing)]
        reader = AnswerReader()
        assert list(reader.feed(part)) == []
        assert reader.end() is None
        assert reader.begun is bool(part)


def test_the_end_of_the_connection_ends_a_body_without_a_length() -> None:
    reader = AnswerReader()
    assert list(reader.feed(b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhalf")) == []
    assert reader.end() == Answer(200, {"server": "old"}, b"half")
    assert reader.end() is None


def test_some_answers_never_have_a_body() -> None:
    assert [answer.status for answer in AnswerReader().feed(b"HTTP/1.1 204 No Content\r\n\r\n")] == [204]


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, close"])
def test_whether_the_server_closes(value: str) -> None:
    (answer,) = AnswerReader().feed(f"HTTP/1.1 200 OK\r\nConnection: {value}\r\nContent-Length: 0\r\n\r\n".encode())
    assert answer.closes


@pytest.mark.parametrize(
    "stream",
    [
        b"<html>\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"a" * 70_000,
    ],
)
def test_what_is_no_http_is_refused(stream: bytes) -> None:
    with pytest.raises(BadAnswer):
        list(AnswerReader().feed(stream))
