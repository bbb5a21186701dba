"""Fetches one file over HTTP, hashed as it comes in."""

import hashlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from kbootstrap.errors import ArtifactError

_CHUNK = 1 << 20
"""Bytes per read: large enough that hashing and writing are what costs."""
_ATTEMPTS = 3
_LARGEST_TEXT = 1 << 20
"""Bytes of a digest file; the longest published one has a few kilobytes."""
_SERVER_FAULT = 500
_BUSY = 429
_ELSEWHERE = "check the network and proxy settings, name a `mirror`, or use the source `build`"


class Unavailable(ArtifactError):
    """A file is not to be had from where it was looked for; another source may have it."""


class _Passing(Exception):
    """A failure that may be gone at the next attempt."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: without a byte, for a whole file, and before the second attempt (twice that before the third)."""

    stall: float
    deadline: float
    pause: float = 1.0


@dataclass(frozen=True, slots=True)
class _Body:
    size: int | None
    chunks: Iterator[bytes]


def fetch(url: str, target: Path, patience: Patience, watch: Callable[[int, int | None], None]) -> str:
    """Writes what is at `url` to `target` and answers its SHA-256 in hex.

    `watch` hears the bytes so far and in all. Raises Unavailable if the server does not give it, after three
    attempts where another one makes sense, and OSError if it cannot be written.
    """

    def once() -> str:
        digest, done = hashlib.sha256(), 0
        with _reading(url, patience) as body, target.open("wb") as file:
            for chunk in body.chunks:
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                watch(done, body.size)
        watch(done, done)
        return digest.hexdigest()

    return _persistently(once, url, patience)


def fetch_text(url: str, patience: Patience) -> str:
    """What is at `url`, as text; raises Unavailable."""

    def once() -> str:
        text = b""
        with _reading(url, patience) as body:
            for chunk in body.chunks:
                text += chunk
                if len(text) > _LARGEST_TEXT:
                    raise Unavailable(f"{url} is no digest file: it is too long", hint=_ELSEWHERE)
        return text.decode("utf-8", errors="replace")

    return _persistently(once, url, patience)


def _persistently(once: Callable[[], str], url: str, patience: Patience) -> str:
    attempts = Retrying(
        retry=retry_if_exception_type(_Passing),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=patience.pause),
        reraise=True,
    )
    try:
        return attempts(once)
    except _Passing as error:
        raise Unavailable(f"cannot fetch {url}: {error}", hint=_ELSEWHERE) from error


@contextmanager
def _reading(url: str, patience: Patience) -> Iterator[_Body]:
    end = time.monotonic() + patience.deadline
    try:
        with urllib.request.urlopen(url, timeout=patience.stall) as response:  # noqa: S310 - an https address of ours
            length = response.headers.get("Content-Length")
            size = int(length) if length and length.isdigit() else None
            yield _Body(size, _chunks(response, size, end))
    except urllib.error.HTTPError as error:
        if error.code >= _SERVER_FAULT or error.code == _BUSY:
            raise _Passing(f"the server answered {error.code} {error.reason}") from error
        raise Unavailable(f"cannot fetch {url}: the server answered {error.code}", hint=_ELSEWHERE) from error
    except TimeoutError as error:
        raise _Passing(f"nothing came for {patience.stall:g} s") from error
    except urllib.error.URLError as error:
        raise _Passing(str(error.reason)) from error
    except (ConnectionError, http.client.HTTPException, ssl.SSLError) as error:
        raise _Passing(f"the connection broke: {error}") from error


def _chunks(response: http.client.HTTPResponse, size: int | None, end: float) -> Iterator[bytes]:
    done = 0
    while chunk := response.read1(_CHUNK):
        done += len(chunk)
        if time.monotonic() > end:
            raise _Passing("it came too slowly")
        yield chunk
    if size is not None and done != size:
        raise _Passing(f"it ended after {done} of {size} bytes")
