"""How long the transport waits for what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, but for `scale`. A host behind a slow resolver takes several seconds to let somebody in, so none is
    below ten.
    """

    connect: float = 10.0
    """For the TCP connection, and again for the key exchange."""
    banner: float = 15.0
    """For the server's first line."""
    auth: float = 30.0
    """For each key that is offered."""
    channel: float = 15.0
    """For a channel within the connection: a command to start, a tunnel to open."""
    keepalive: float = 10.0
    """Between signs of life on an idle connection."""
    silence: float = 20.0
    """Without an acknowledgement for so long, a connection is given up."""
    scale: float = 1.0
    """The inventory's factor for deadlines of commands, which callers use: above 1 for slow hosts."""
