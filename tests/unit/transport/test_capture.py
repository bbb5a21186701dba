"""Output kept whole up to a bound, and both ends of it beyond."""

from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.transport.capture import Capture, Lines

chunks = st.lists(st.binary(max_size=50), max_size=30)


@given(chunks, st.integers(2, 200).map(lambda half: 2 * half))
def test_keeps_all_or_both_ends(parts: list[bytes], limit: int) -> None:
    capture = Capture(limit)
    for part in parts:
        capture.add(part)
    whole, kept = b"".join(parts), capture.content()
    assert capture.truncated == (len(whole) > limit)
    if len(whole) <= limit:
        assert kept == whole
    else:
        assert kept.startswith(whole[: limit // 2])
        assert kept.endswith(whole[-limit // 2 :])
        assert f"{len(whole) - limit} bytes left out".encode() in kept


@given(chunks)
def test_lines_do_not_depend_on_how_they_arrive(parts: list[bytes]) -> None:
    seen: list[str] = []
    lines = Lines(seen.append)
    for part in parts:
        lines.add(part)
    lines.finish()
    *complete, rest = b"".join(parts).split(b"\n")
    expected = [line.decode(errors="replace").removesuffix("\r") for line in complete]
    assert seen == expected + ([rest.decode(errors="replace")] if rest else [])
