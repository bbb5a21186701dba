"""A web server on this machine that publishes files as the projects do, and can misbehave."""

import hashlib
import io
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

KUBERNETES = "dl.k8s.io/release/v1.36.4/bin/linux/amd64"
RUNC = "github.com/opencontainers/runc/releases/download/v1.5.2"
ETCD = "github.com/etcd-io/etcd/releases/download/v3.6.16"

Misbehaviour = Callable[[BaseHTTPRequestHandler, bytes, Event], None]


@dataclass
class Publisher:
    """`files` by path; `misbehaving` paths answer in their own way; `asked` counts the GETs by path."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    misbehaving: dict[str, Misbehaviour] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def publish(self, path: str, content: bytes) -> None:
        """A file, and its digest in a file beside it."""
        self.files[path] = content
        self.files[f"{path}.sha256"] = hashlib.sha256(content).hexdigest().encode()


@contextmanager
def publishing() -> Iterator[Publisher]:
    """A publisher while the block lasts."""
    over = Event()

    class Request(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            publisher.asked[path] += 1
            content = publisher.files.get(path)
            if content is None:
                self.send_error(404)
            elif path in publisher.misbehaving:
                publisher.misbehaving[path](self, content, over)
            else:
                whole(self, content, over)

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
    server.daemon_threads = True
    publisher = Publisher(f"http://127.0.0.1:{server.server_address[1]}")
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield publisher
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def whole(request: BaseHTTPRequestHandler, content: bytes, _over: Event) -> None:
    """As it should be."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def truncated(request: BaseHTTPRequestHandler, content: bytes, over: Event) -> None:
    """Promises everything, sends half."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[: len(content) // 2])


def corrupted(request: BaseHTTPRequestHandler, content: bytes, over: Event) -> None:
    """The right length, another content."""
    whole(request, bytes([content[0] ^ 1]) + content[1:], over)


def hanging(request: BaseHTTPRequestHandler, content: bytes, over: Event) -> None:
    """Begins, and never goes on."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[:1])
    request.wfile.flush()
    over.wait(10)


def dripping(request: BaseHTTPRequestHandler, content: bytes, over: Event) -> None:
    """A byte now and then: never silent for long, and never done."""
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    while not over.wait(0.05):
        request.wfile.write(b".")


def failing(times: int, status: int = 503) -> Misbehaviour:
    """An error for the first `times` requests, then as it should be."""
    left = [times]

    def answer(request: BaseHTTPRequestHandler, content: bytes, over: Event) -> None:
        if left[0] > 0:
            left[0] -= 1
            request.send_error(status)
        else:
            whole(request, content, over)

    return answer


def archive(members: Mapping[str, bytes]) -> bytes:
    """A .tar.gz with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
