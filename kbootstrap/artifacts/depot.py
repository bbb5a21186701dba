"""The depot: serves chosen files of the cache to the hosts over HTTP, by digest and nothing else."""

import os
import re
import socket
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from kbootstrap.artifacts.artifact import Artifact
from kbootstrap.artifacts.cache import sha256_of
from kbootstrap.errors import ArtifactError

_PATH = re.compile(r"/sha256/([0-9a-f]{64})")
_POLL = 0.02
"""Seconds that closing the depot may have to wait for its loop."""
_STALL = 60.0
"""Seconds that a host may take to accept another byte before its connection is dropped."""
_BACKLOG = 512
"""Connections that may wait to be accepted: some hundred hosts begin at the same moment."""


class Depot:
    """Serves `GET /sha256/DIGEST` for the given artifacts on the address `bind`, as a context manager.

    `port` is known once it is open; 0 lets the system choose. A host that asks twice for a file did not get it
    whole: the file is then hashed again, and removed if it is damaged, so that the next run gets it anew.
    """

    def __init__(self, artifacts: Iterable[Artifact], *, bind: str, port: int = 0) -> None:
        self._artifacts = {artifact.sha256: artifact for artifact in artifacts}
        self._address = (bind, port)
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError("the depot is not open")
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        try:
            server = _Server(self._address, _Shelf(self._artifacts))
        except OSError as error:
            bind, port = self._address
            raise ArtifactError(f"the depot cannot listen on {bind} port {port}: {error.strerror}") from error
        self._server = server
        Thread(target=server.serve_forever, args=(_POLL,), name="depot", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Shelf:
    """What may be had, and who had it already."""

    def __init__(self, artifacts: dict[str, Artifact]) -> None:
        self._artifacts = artifacts
        self._lock = Lock()
        self._taken: set[tuple[str, str]] = set()
        self._rechecked: set[str] = set()

    def find(self, path: str) -> Artifact | None:
        match = _PATH.fullmatch(path)
        return self._artifacts.get(match[1]) if match else None

    def take(self, artifact: Artifact, client: str) -> None:
        """Notes that a client fetches a file; the first time that one comes back for it, checks the file."""
        taking = (client, artifact.sha256)
        with self._lock:
            suspicious = taking in self._taken and artifact.sha256 not in self._rechecked
            self._taken.add(taking)
            if suspicious:
                self._rechecked.add(artifact.sha256)
        if suspicious and artifact.path.exists() and sha256_of(artifact.path) != artifact.sha256:
            artifact.path.unlink(missing_ok=True)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = _BACKLOG

    def __init__(self, address: tuple[str, int], shelf: _Shelf) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.shelf = shelf
        super().__init__(address, _Request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A host that goes away in the middle is that host's affair: it asks again."""


class _Request(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _STALL
    server_version = "kbootstrap"
    sys_version = ""

    def do_GET(self) -> None:
        """A file, whole."""
        artifact = self.server.shelf.find(self.path)
        if artifact is not None:
            self.server.shelf.take(artifact, self.client_address[0])
        self._answer(artifact, with_body=True)

    def do_HEAD(self) -> None:
        """Whether there is such a file."""
        self._answer(self.server.shelf.find(self.path), with_body=False)

    def _answer(self, artifact: Artifact | None, *, with_body: bool) -> None:
        try:
            file = artifact.path.open("rb") if artifact else None
        except OSError:
            file = None
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(size))
            self.end_headers()
            if with_body and size:
                self.connection.sendfile(file, 0, size)

    def log_message(self, format: str, *args: object) -> None:
        """Deliveries are events of the run, not lines of a web server's log."""
