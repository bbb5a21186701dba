"""What went wrong while connecting, in words that say what to do."""

import socket

from paramiko import ChannelException, SSHException
from paramiko.ssh_exception import IncompatiblePeer, NoValidConnectionsError, ProxyCommandFailure

from kbootstrap.errors import KbootstrapError, Unreachable
from kbootstrap.transport.timeouts import Timeouts

_NETWORK_HINT = "is the host up, the address and port right, and does a firewall let SSH through?"


def unreachable(error: Exception, place: str, limits: Timeouts) -> KbootstrapError:
    """The typed error for what Fabric, paramiko or the system raised while connecting to `place`."""
    if isinstance(error, KbootstrapError):
        return error
    message, hint = _explain(error, place, limits)
    return Unreachable(message, hint=hint)


def _explain(error: Exception, place: str, limits: Timeouts) -> tuple[str, str]:
    if isinstance(error, NoValidConnectionsError):
        # One per address of the name; the first is as good as any.
        error = next(iter(error.errors.values()))
    if type(error) is SSHException:
        return _handshake(str(error), place, limits)
    for kind, message, hint in _MEANINGS:
        if isinstance(error, kind):
            return f"{place} {message.format(error=error, limits=limits)}", hint
    return f"{place}: {error or type(error).__name__}", _NETWORK_HINT


_MEANINGS: tuple[tuple[type[Exception], str, str], ...] = (
    (socket.gaierror, "cannot be found: the name is unknown", "check the name, or give an address"),
    (UnicodeError, "cannot be found: this is no name", "check the name, or give an address"),
    (TimeoutError, "does not answer within {limits.connect:g} s", _NETWORK_HINT),
    (ConnectionRefusedError, "refuses connections", "is sshd running, and on this port?"),
    (ProxyCommandFailure, "is not reached by its ProxyCommand: {error}", "try the command by hand"),
    (
        ChannelException,
        "cannot be reached from the jump host: {error.text}",
        "can the jump host reach it, and does its sshd allow it (AllowTcpForwarding yes)?",
    ),
    (
        IncompatiblePeer,
        "has no SSH algorithm in common with this tool: {error}",
        "its sshd is very old or very restricted: allow an AES-GCM or AES-CTR cipher, and curve25519",
    ),
    (EOFError, "closed the connection", "see its sshd's log; MaxStartups may be exceeded"),
)


def _handshake(reason: str, place: str, limits: Timeouts) -> tuple[str, str]:
    # paramiko has no types for these; where its wording changes, the reason still stands as it is.
    if "banner" in reason or reason in {"No existing session", "Negotiation failed."}:
        return (
            f"{place} accepts connections, but does not greet like an SSH server within "
            f"{max(limits.connect, limits.banner):g} s",
            "is it overloaded, is MaxStartups exceeded, or is something else listening on this port?",
        )
    return f"{place}: the SSH handshake failed: {reason}", "see the log of its sshd"
