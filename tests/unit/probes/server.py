"""A TLS server on the loopback that behaves, or misbehaves, exactly as a test says."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedReader
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from kbootstrap.pki.authority import Authority
from kbootstrap.pki.issue import create_authority, issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.probes.spec import Credentials, Target

NOW = datetime.now(UTC)
LOOPBACK = IPv4Address("127.0.0.1")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the how-manieth connection, and the how-manieth request on it (from 0)."""

    connection: int
    number: int
    method: str
    path: str
    body: bytes
    host: str = ""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What is sent, and what becomes of the connection."""

    send: bytes = b""
    then: Literal["keep", "close", "reset", "hang"] = "keep"
    after: float = 0.0


def answer(status: str = "200 OK", body: bytes = b"{}", **headers: str) -> bytes:
    """An answer of HTTP/1.1; underscores in names of headers stand for hyphens."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


OK = Reaction(answer())
SHUTTING_DOWN = Reaction(answer("429 Too Many Requests", Retry_After="5", Connection="close"), "close")

React = Callable[[Asked], Reaction]


@dataclass(slots=True)
class Server:
    """The server; `asked` is what it was asked, in that order."""

    react: React
    authority: Authority
    listener: socket.socket
    tls: ssl.SSLContext | None
    certificate: bytes = b""
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.listener.getsockname()[1])

    @property
    def credentials(self) -> Credentials:
        """A client's, trusting this server."""
        certificate, key = issue(self.authority, CertificateSpec("probe", client=True), NOW, 1)
        return Credentials("127.0.0.1", self.authority.certificate.decode(), certificate.decode(), key.decode())

    def serve(self) -> None:
        while True:
            try:
                plug, _ = self.listener.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            threading.Thread(target=self._talk, args=(plug, number), daemon=True).start()

    def stop(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for plug in self._open:
            with suppress(OSError):
                plug.close()

    def _talk(self, plug: socket.socket, number: int) -> None:
        with suppress(OSError, ValueError):  # of a client that ends, or talks something else
            plug = self.tls.wrap_socket(plug, server_side=True) if self.tls else plug
            self._open.append(plug)
            with plug.makefile("rb") as stream:
                serial = 0
                while (asked := _read(stream, number, serial)) is not None:
                    self.asked.append(asked)
                    if not self._carry_out(plug, self.react(asked)):
                        return
                    serial += 1

    def _carry_out(self, plug: socket.socket, reaction: Reaction) -> bool:
        time.sleep(reaction.after)
        plug.sendall(reaction.send)
        if reaction.then == "reset":
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if reaction.then in ("close", "reset"):
            # The descriptor itself: a stream that reads from it would keep it open.
            socket.close(plug.detach())
        return reaction.then == "keep"


def _read(stream: BufferedReader, connection: int, number: int) -> Asked | None:
    first = stream.readline().split()
    if len(first) < 2:
        return None
    headers = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Asked(connection, number, first[0].decode(), first[1].decode(), body, headers.get("host", ""))


@contextmanager
def serving(
    folder: Path,
    react: React = lambda _: OK,
    *,
    plain: bool = False,
    names: Sequence[IPv4Address] = (LOOPBACK,),
    server_names: Sequence[str] = (),
    anybody: bool = False,
) -> Iterator[Server]:
    """A server on the loopback while open, with a certificate for these addresses and names.

    It serves `anybody`, or only who has a certificate from its authority.
    """
    authority = create_authority("test-ca", "test", NOW, 2)
    spec = CertificateSpec("server", names=tuple(server_names), addresses=tuple(names), server=True)
    certificate, key = issue(authority, spec, NOW, 1)
    tls = None if plain else _context(folder, authority, certificate, key)
    if tls is not None and anybody:
        tls.verify_mode = ssl.CERT_NONE
    server = Server(react, authority, socket.create_server(("127.0.0.1", 0), backlog=512), tls, certificate)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def _context(folder: Path, authority: Authority, certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Of a server that demands a client certificate."""
    (folder / "server.pem").write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(cadata=authority.certificate.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    return context
