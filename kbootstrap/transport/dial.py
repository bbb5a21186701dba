"""Opens SSH connections: Fabric and paramiko, set up for many hosts, low latency, and host keys that are verified."""

import functools
import logging
import socket
import threading
from dataclasses import dataclass
from typing import TypeAlias

import fabric
from paramiko import Channel, MissingHostKeyPolicy, PKey, SSHClient, Transport

from kbootstrap.errors import KbootstrapError
from kbootstrap.model.cluster import Host
from kbootstrap.transport.channel import OrderedTransport
from kbootstrap.transport.failure import unreachable
from kbootstrap.transport.jump import Jump, Jumps, close_chain, hang_up
from kbootstrap.transport.known_hosts import HostKey, Identity
from kbootstrap.transport.login import Login
from kbootstrap.transport.route import Route, Target, load_config, route
from kbootstrap.transport.timeouts import Timeouts

# paramiko logs tracebacks of what it also raises; without a handler Python would print them.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
    "aes192-ctr",
)
"""AES-GCM first: one pass in native code for cipher and integrity. No CBC, no 3DES."""

KEY_EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
)
"""The fast curve first (with its post-quantum companion, which new servers have); no group exchange, the slowest."""

RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")

_Gateway: TypeAlias = fabric.Connection | str | bool


@dataclass(frozen=True, slots=True)
class Line:
    """An open connection: the host's own, and its share of a jump host's."""

    target: Target
    connection: fabric.Connection
    jump: Jump | None = None

    @property
    def transport(self) -> Transport:
        transport: Transport = self.connection.transport
        return transport


class Dialer:
    """Opens connections for one run: reads each configuration and key once, and shares jump hosts' connections."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._lock = threading.Lock()
        self._config = functools.cache(load_config)
        self._key = functools.cache(PKey.from_path)
        self._jumps = Jumps(self._chain)

    def open(self, host: Host) -> Line:
        """A verified, authenticated connection. Raises Unreachable, or InvalidInput for a wrong SSH configuration."""
        with self._lock:
            way = route(host, self._config(host.ssh.config_file))
        try:
            return self._through_jump(way) if way.hops else self._direct(way)
        except KbootstrapError as error:
            # Hosts that share a jump host share its error: each gets its own copy, with its own name.
            raise type(error)(
                error.message, host=host.name, command=error.command, output=error.output, hint=error.hint
            ) from error

    def close(self, line: Line) -> None:
        """Ends a connection, and that of its jump host when nobody else uses it."""
        hang_up(line.connection)
        if line.jump is not None:
            self._jumps.leave(line.jump)

    def _direct(self, way: Route) -> Line:
        # False, not None: with None, Fabric would look for a gateway of its own.
        return Line(way.target, self._connect(way.target, way.proxy_command or False))

    def _through_jump(self, way: Route) -> Line:
        jump = self._jumps.enter(way.hops)
        try:
            return Line(way.target, self._connect(way.target, jump.connection), jump)
        except BaseException:
            self._jumps.leave(jump)
            raise

    def _chain(self, hops: tuple[Target, ...]) -> fabric.Connection:
        """Opens one hop after another, each through the one before, and returns the last."""
        opened: _Gateway = False
        for hop in hops:
            try:
                opened = self._connect(hop, opened)
            except BaseException as error:
                close_chain(opened)
                if isinstance(error, KbootstrapError):
                    error.message = f"jump host {hop}: {error.message}"
                raise
        return opened

    def _connect(self, target: Target, gateway: _Gateway) -> fabric.Connection:
        limits = self.timeouts
        connection = fabric.Connection(
            target.address,
            user=target.user,
            port=target.port,
            # Everything is resolved here already: Fabric is not to read SSH configurations of its own. One for each
            # connection (0.2 ms): making a connection rewrites its Config, which another thread would see half empty.
            config=fabric.Config(overrides={"load_ssh_configs": False}),
            gateway=gateway,
            connect_timeout=limits.connect,
            connect_kwargs={
                "banner_timeout": limits.banner,
                "auth_timeout": limits.auth,
                "channel_timeout": limits.channel,
                "auth_strategy": Login(target, self._key),
                "transport_factory": functools.partial(_transport, target.identity, limits),
            },
        )
        # In place of Fabric's, which accepts every host key.
        connection.client = SSHClient()
        connection.client.set_missing_host_key_policy(_Verify(target.identity))
        try:
            connection.open()
        except BaseException as error:
            hang_up(connection)
            if not isinstance(error, Exception):
                raise
            # Of any type: paramiko passes on whatever its thread met in what a server sent.
            place = f"{target.address}:{target.port}"
            if isinstance(gateway, str):
                place += " (through its ProxyCommand)"
            raise unreachable(error, place, limits) from error
        return connection


class _Verify(MissingHostKeyPolicy):
    """Checks a server's key. As the client is given no keys of its own, it asks this policy about every key."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        self._identity.verify(HostKey(key.get_name(), key.asbytes()))


def _transport(identity: Identity, limits: Timeouts, sock: socket.socket | Channel, **options: object) -> Transport:
    """What SSHClient makes its session with, before the first byte is exchanged."""
    if isinstance(sock, socket.socket):
        # Without it, every command waits for a delayed acknowledgement: 48 ms instead of 3.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # paramiko sends signs of life and does not miss the answers; the kernel does.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.silence * 1000))
    transport = OrderedTransport(sock)
    transport.handshake_timeout = limits.banner + limits.connect
    transport.set_keepalive(int(limits.keepalive))
    security = transport.get_security_options()
    security.ciphers = [name for name in CIPHERS if name in security.ciphers]
    security.kex = [name for name in KEY_EXCHANGES if name in security.kex]
    # As OpenSSH does: the types first of which a key is known, or a host with several keys seems to have changed.
    known = [name for item in identity.known() for name in _algorithms(item.key.kind)]
    offered = dict.fromkeys((*known, *security.key_types))
    security.key_types = [name for name in offered if name in security.key_types]
    return transport


def _algorithms(kind: str) -> tuple[str, ...]:
    return RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)
